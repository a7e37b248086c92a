"""Property tests of this room assert no time: a busy machine may be slow."""

from hypothesis import HealthCheck, settings

settings.register_profile("kttun", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kttun")
