"""A Ray of our own starts what trains and nothing else, and its processes import at once."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hrfs.tuning.head_start import NAMED_BY, PRELOADED, head_start, import_named

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.ray


def test_what_is_to_be_imported_is_named_while_ray_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAMED_BY, raising=False)
    with head_start(("one.module", "another")) as arguments:
        assert os.environ[NAMED_BY] == "one.module,another"
        assert arguments["_system_config"]["preload_python_modules"] == [PRELOADED]
        assert arguments["_system_config"]["idle_worker_killing_time_threshold_ms"] == 60_000
    assert NAMED_BY not in os.environ
    monkeypatch.setenv(NAMED_BY, "kept")
    with head_start(()) as arguments:
        assert arguments == {}
        assert os.environ[NAMED_BY] == ""
    assert os.environ[NAMED_BY] == "kept"


def test_a_process_imports_what_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "named_for_a_test.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(NAMED_BY, "json,named_for_a_test")
    import_named()
    assert sys.modules.pop("named_for_a_test", None) is not None
    monkeypatch.setenv(NAMED_BY, "no_such_module_anywhere")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_anywhere"):
        import_named()


def test_the_servers_that_are_left_out_are_rays_still() -> None:
    from ray._private import node, services

    before = services.start_api_server, node.Node.start_monitor, node.Node.start_log_monitor
    from hrfs.tuning.private_servers import without_onlookers

    assert "services.start_api_server(" in inspect.getsource(node.Node.start_api_server)
    source = inspect.getsource(node.Node)
    assert "self.start_monitor()" in source
    assert "self.start_log_monitor()" in source
    with pytest.raises(RuntimeError, match="no start"), without_onlookers():
        _refuse(services.start_api_server(include_dashboard=False))
    after = services.start_api_server, node.Node.start_monitor, node.Node.start_log_monitor
    assert after == before


def test_a_node_is_asked_for_once_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import node, services

    from hrfs.tuning import private_node

    assert "ray._private.services.get_node(" in inspect.getsource(node.Node.__init__)
    assert list(inspect.signature(services.get_node).parameters) == ["gcs_address", "node_id"]
    tables = iter([[], [{"NodeID": "another"}], [{"NodeID": "another"}, {"NodeID": "ours"}]])
    asked: list[tuple[str, str]] = []

    class State:
        def _initialize_global_state(self, options: object) -> None:
            assert options == "options of here:1"

        def node_table(self) -> list[dict[str, str]]:
            assert not asked
            return next(tables)

    def get_node(gcs_address: str, node_id: str) -> str:
        asked.append((gcs_address, node_id))
        return "the node"

    monkeypatch.setattr(private_node, "GlobalState", State)
    monkeypatch.setattr(services, "_get_gcs_client_options", "options of {}".format)
    monkeypatch.setattr(services, "get_node", get_node)
    with private_node.joined_at_once():
        assert services.get_node("here:1", "ours") == "the node"
    assert services.get_node is get_node
    assert next(tables, None) is None, "it looked until the node was there"
    monkeypatch.setattr(private_node, "WITHIN_S", 0.0)
    with private_node.joined_at_once():
        assert services.get_node("here:1", "late") == "the node"
    assert asked == [("here:1", "ours"), ("here:1", "late")]


def _refuse(answer: object) -> None:
    assert answer == ("", None)
    raise RuntimeError("no start")


SCRIPT = """
import json, os, subprocess, sys, time
from hrfs.experiment.cluster import ClusterSettings, EmulatedWorker
from hrfs.tuning.session import cluster, started_here
import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

class Trial:
    def told(self):
        age = ["ps", "-o", "etimes=", "-p", str(os.getpid())]
        age_s = int(subprocess.run(age, capture_output=True, text=True, check=True).stdout)
        return {"pid": os.getpid(), "imported": "wave" in sys.modules,
                "began_s": time.time() - age_s,
                "PL_DISABLE_FORK": os.environ.get("PL_DISABLE_FORK")}

emulated = (EmulatedWorker("a", "cpu"), EmulatedWorker("b", "cpu"))
told = {"before": started_here()}
with cluster(ClusterSettings(mode="emulated", emulated=emulated), ("wave",)):
    told["within"] = started_here()
    places = [placement_group([{"CPU": 1}]) for _ in emulated]
    ray.get([place.ready() for place in places])
    time.sleep(2)  # Ray's own patience with processes that nothing is left for is a second
    told["asked_s"] = time.time()
    within = [PlacementGroupSchedulingStrategy(place) for place in places]
    actors = [ray.remote(Trial).options(num_cpus=1, scheduling_strategy=place).remote()
              for place in within]
    told["trials"] = ray.get([actor.told.remote() for actor in actors])
    listed = subprocess.run(["ps", "-wwe", "-o", "args"], capture_output=True, text=True).stdout
    session = ray._private.worker._global_node.get_session_dir_path()
    told["servers"] = [line for line in listed.splitlines() if session in line]
told["after"] = started_here()
print(json.dumps(told))
"""


def test_a_cluster_of_our_own_has_no_onlookers_and_ready_processes() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["before"], told["within"], told["after"]) == (False, True, False)
    assert all(trial["imported"] for trial in told["trials"])
    assert {trial["PL_DISABLE_FORK"] for trial in told["trials"]} == {"1"}
    assert len({trial["pid"] for trial in told["trials"]}) == 2
    assert max(trial["began_s"] for trial in told["trials"]) < told["asked_s"] - 1.0
    servers = "\n".join(told["servers"])  # each names its session's folder
    assert "raylet" in servers, "the list shows what there is"
    for onlooker in ("dashboard/dashboard.py", "monitor.py", "log_monitor.py"):
        assert onlooker not in servers
