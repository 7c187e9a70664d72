"""What is refused before a job waits for what it can never have: one line each.

Nothing here talks to Ray; the caller says what ``ray.init`` takes and what the nodes have.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from hrfs.cli.names import nearest, suggestion
from hydra_plugins.hrfs_ray_tune_launcher._errors import LauncherError
from hydra_plugins.hrfs_ray_tune_launcher._options import Resources

_SHOWN = {"CPU": "cpu", "GPU": "gpu"}
"""Resources whose key is not their name; all others are the cluster's own."""
_OWN_PREFIXES = ("node:", "accelerator_type:", "bundle_group_", "object_store_memory")
"""Resources that Ray makes for itself."""


def check_limits(max_concurrent: int | None, max_failures: int) -> None:
    """Refuse limits under which no job would ever run.

    Raises:
        LauncherError: ``max_concurrent`` below 1 or ``max_failures`` below 0.
    """
    if max_concurrent is not None and max_concurrent < 1:
        raise LauncherError(
            "hydra.launcher.max_concurrent", max_concurrent,
            "must be at least 1, or no job would ever start", "null sets no limit",
        )  # fmt: skip
    if max_failures < 0:
        raise LauncherError(
            "hydra.launcher.max_failures", max_failures,
            "must be at least 0", "it is how often a job is tried again after its worker died",
        )  # fmt: skip


def check_init(init: Mapping[str, object], known: Collection[str]) -> None:
    """Refuse keys of ``hydra.launcher.init`` that are no arguments of ``ray.init``.

    Raises:
        LauncherError: a key is none of the ``known`` ones.
    """
    for key, value in init.items():
        if key not in known:
            raise LauncherError(
                f"hydra.launcher.init.{key}", value, "ray.init takes no such argument",
                suggestion(key, known),
            )  # fmt: skip


def check_requests(requests: Mapping[int, Resources], nodes: Sequence[Mapping[str, float]]) -> None:
    """Refuse jobs whose resources no node of the cluster will ever have.

    ``requests`` are the resources of each job by its number, ``nodes`` those of each node that is
    alive, free or not, by Ray's names (``ray.nodes()[i]["Resources"]``).

    Raises:
        LauncherError: an amount is no usable number, a name is unknown, or the whole of a request
            fits on no single node.
    """
    for num, resources in requests.items():
        request = {"CPU": resources.cpu, "GPU": resources.gpu, **resources.custom}
        for name, amount in request.items():
            _check_amount(num, name, amount)
            _check_name(num, name, amount, nodes)
        _check_fits(num, request, nodes)


def unanswered(address: str, within_s: float | None, cause: BaseException | str) -> LauncherError:
    """The error for a cluster that could not be joined."""
    waited = f" within {within_s:g} s" if within_s is not None else ""
    return LauncherError(
        "hydra.launcher.init.address", address,
        f"no Ray cluster answers there{waited} ({_first_line(cause)})",
        "start it, mend the address or its token, or leave out init.address to use this machine",
    )  # fmt: skip


def _check_amount(num: int, name: str, amount: float) -> None:
    rule = ""
    if not math.isfinite(amount) or amount < 0:
        rule = "must be a number from 0 on"
    elif name == "GPU" and amount > 1 and amount != int(amount):
        rule = "must be a whole number, or a share of one GPU"
    if rule:
        raise LauncherError(_key(name), f"{amount:g}", f"{rule} (job {num})")


def _check_name(num: int, name: str, amount: float, nodes: Sequence[Mapping[str, float]]) -> None:
    known = _custom(nodes)
    if name in ("CPU", "GPU") or any(name in node for node in nodes):
        return
    near = suggestion(name, known) if nearest(name, known) else ""
    if name.lower() in ("cpu", "gpu"):
        near = f"did you mean hydra.launcher.resources.{name.lower()}?"
    rule = f"job {num} asks for a resource that no node has; the cluster has {_has(nodes)}"
    raise LauncherError(_key(name), f"{amount:g}", rule, near)


def _check_fits(
    num: int, request: Mapping[str, float], nodes: Sequence[Mapping[str, float]]
) -> None:
    if any(all(node.get(name, 0) >= n for name, n in request.items()) for node in nodes):
        return
    for name, amount in request.items():
        most = max((node.get(name, 0) for node in nodes), default=0)
        if amount > most:
            rule = f"job {num} asks for more than any node has, at most {most:g}"
            raise LauncherError(_key(name), f"{amount:g}", rule, f"the cluster has {_has(nodes)}")
    asked = ", ".join(f"{_SHOWN.get(name, name)} {n:g}" for name, n in request.items() if n)
    rule = f"job {num} asks for more than any one node has at once"
    raise LauncherError("hydra.launcher.resources", asked, rule, f"the cluster has {_has(nodes)}")


def _key(name: str) -> str:
    return f"hydra.launcher.resources.{_SHOWN.get(name, f'custom.{name}')}"


def _custom(nodes: Iterable[Mapping[str, float]]) -> list[str]:
    names = {name for node in nodes for name in node if not name.startswith(_OWN_PREFIXES)}
    return sorted(names - set(_SHOWN))


def _has(nodes: Sequence[Mapping[str, float]]) -> str:
    """``2 nodes: cpu 4, gpu 1 / cpu 8``: what a request may ask for, node by node."""
    names = [*_SHOWN, *_custom(nodes)]
    told = []
    for node in nodes:
        held = {name: node[name] for name in names if node.get(name)}
        parts = [f"{_SHOWN.get(name, name)} {_amount(name, n)}" for name, n in held.items()]
        told.append(", ".join(parts) or "nothing")
    kinds = {kind: told.count(kind) for kind in dict.fromkeys(told)}
    listed = [f"{n} x ({kind})" if n > 1 else kind for kind, n in kinds.items()]
    return f"{len(nodes)} node{'' if len(nodes) == 1 else 's'}: {' / '.join(listed)}"


def _amount(name: str, amount: float) -> str:
    return f"{amount / 2**30:.1f} GiB" if name == "memory" else f"{amount:g}"


def _first_line(cause: BaseException | str) -> str:
    lines = str(cause).strip().splitlines()
    return lines[0] if lines else type(cause).__name__
