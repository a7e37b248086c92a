"""kttun: the network of a Kubernetes namespace on your own machine."""

__version__ = "0.1.0"
