"""Policies by the name that ``conf/scheduler`` gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hrfs.core.baselines import FastestOnlyPolicy, GreedyPolicy, StaticPolicy
from hrfs.core.fusion import FusionPolicy
from hrfs.core.paper import PaperPolicy
from hrfs.core.policy import Policy

POLICIES: Mapping[str, Callable[[], Policy]] = {
    "hrfs": FusionPolicy,  # what we recommend
    "hrfs_paper": PaperPolicy,
    "static": StaticPolicy,
    "fastest_only": FastestOnlyPolicy,
    "greedy": GreedyPolicy,
}


def make_policy(name: str) -> Policy:
    """A fresh policy.

    Raises:
        ValueError: there is no policy of that name.
    """
    try:
        return POLICIES[name]()
    except KeyError:
        raise ValueError(f"policy={name!r}: must be one of {', '.join(POLICIES)}") from None
