"""Settings of the property tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine must not fail a test: pytest's own timeout is the limit.
settings.register_profile("hrfs", deadline=None)
settings.load_profile("hrfs")
