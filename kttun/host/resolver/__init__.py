"""Ways to tell the host's resolver about the cluster's names, one file a method; `choice` picks one."""
