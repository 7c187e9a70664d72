"""Bad input ends with one line on standard error and exit code 2, before any cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=resnet19"], "model=resnet19: there is no such option; model has "),
        (["model=resnet19"], "did you mean resnet18"),
        (["experiment=dmeo"], "experiment=dmeo: there is no such option"),
        (["experiment=dmeo"], "did you mean demo?"),
        (["modle=resnet18"], "modle=resnet18: there is no key modle at the top; did you mean "
                             "model?"),
        (["experimnt=demo"], "did you mean experiment?"),
        (["population.sise=3"], "population.sise=3: there is no key sise in population; "
                                "did you mean size?"),
        (["+population.sise=3"], "population.sise=3: there is no such key; did you mean "
                                 "size?"),
        (["+sed=1"], "sed=1: there is no such key; did you mean seed"),
        (["model.stm=cifar", "model=resnet18"], "model.stm=cifar: there is no key stm in model; "
                                                "did you mean stem?"),
        (["scheduler/polic=x"], "scheduler/polic=x: there is no"),
        (["~popultion"], "popultion=: there is nothing of this name; did you mean population?"),
        (["~population.mutations.lrr"], "population.mutations.lrr=: there is nothing of this"),
        (["population.size=abc"], "population.size=abc: must be a whole number"),
        (["population.size=1.5"], "population.size=1.5: must be a whole number"),
        (["population.quantile=x"], "population.quantile=x: must be a number"),
        (["population.stop_on_target=x"], "population.stop_on_target=x: must be true or false"),
        (["population.search_space.lr=0.1"], "population.search_space.lr=0.1: must be a list"),
        (["population.size"], "argument=population.size: is no key=value"),
        (["population.size=[1,"], "argument=population.size=[1,: is no key=value"),
        (["population.size=???"], "population.size=???: must be given; add population.size=VALUE"),
        (["seed=${oc.env:NO_SUCH_VARIABLE}"], "Environment variable 'NO_SUCH_VARIABLE' not found"),
        (["seed=${nothing}"], "seed=${nothing}: Interpolation key 'nothing' not found"),
        (["--config-dir", "nowhere"], "--config-dir=nowhere: Additional config directory"),
        (["--config-name", "mine"], "--config-name=mine: there is no such configuration file"),
        (["population.size=0"], "population.size=0: must be at least 1"),
        (["population.interval_iterations=0"], "interval_iterations=0: must be at least 1"),
        (["population.interval_iterations=99999"], "interval_iterations=99999: must be at most "
                                                   "population.stop_iterations"),
        (["~population.search_space.lr"],
         "population.mutations.lr=[loguniform, 0.0001, 1.0]: mutates a hyperparameter that"),
        (["population.search_space.lr=[uniform,1,0.1]"],
         "population.search_space.lr=[uniform, 1, 0.1]: low must be below high"),
        (["+population.mutations.momentun=[choice,0.9]"],
         "population.mutations.momentun=[choice, 0.9]: mutates a hyperparameter that "),
        (["scheduler.max_staleness=x"], "scheduler.max_staleness=x: must be a whole number"),
        (["scheduler.max_staleness=10"], "scheduler.max_staleness=10: must be at least "
                                         "population.interval_iterations, which is "),
        (["scheduler=greedy", "scheduler.max_staleness=900"],
         "scheduler.max_staleness=900: is for scheduler=hrfs alone; the other rules know no"),
        (["seeds=3"], "seeds=3: must be a list, such as [0,1,2]"),
        (["seeds=[0,x]"], "seeds[1]=x: must be a whole number"),
        (["seeds=[0,1.5]"], "seeds[1]=1.5: must be a whole number"),
        (["seeds=[]"], "seeds=[]: must name at least one seed; null trains the one population"),
        (["seeds=[0,1,0]"], "seeds=[0, 1, 0]: names seed 0 more than once; each seed is one"),
        (["seeds=[0,-1]"], "seeds=[0, -1]: -1 must be at least 0"),
        (["seeds=[0,1]", "seed=0"], "seeds=[0, 1]: cannot be given beside seed=0; leave out one"),
        (["++seed=2", "seeds=[1]"], "seeds=[1]: cannot be given beside seed=2; leave out one of"),
        (["seeds=[0,1]", "scheduler=ray_pbt"], "seeds=[0, 1]: scheduler=ray_pbt would exploit "
         "across the populations; give each a run: --multirun seed=0,1"),
        (["cluster=address"], "cluster.address=null: must be given; e.g. "
                              "cluster.address=10.0.0.1:6379"),
        (["model._target_=os.system"], "model._target_=os.system: is of Python's standard library"),
        (["dataset.batch_size=100000"], "dataset.batch_size=100000: is more than the "),
        (["dataset=cifar10", "dataset.root=nowhere"], "dataset.root="),
        (["dataset=synthetic", "dataset.samples=1000000000", "dataset.device_resident=true"],
         "dataset.device_resident=true: the training images take 3 TB and this machine has room"),
        (["dataset.cutout=9"], "dataset.cutout=9: is more than the 8 pixels of an image's side"),
        (["model=6"], "model=6: cannot be set (Config group override must be a string"),
        (["~report=1"], "report=1: cannot be set (Config group override deletion value must be"),
        (["model=[1]"], "configuration=model=[1]: argument of type 'int' is not"),
        (["population.search_space.lr.x=0"], "population.search_space.lr.x=0: cannot be set (inv"),
        (["hydra.run.dir=/dev/null/x"], "hydra.run.dir=/dev/null/x: cannot be written (Not a "
                                        "directory); choose another folder"),
    ],
)  # fmt: skip
def test_one_line_with_key_value_and_rule(
    hrfs_main: CommandLine, arguments: list[str], message: str
) -> None:
    code, out, err = hrfs_main(*arguments)
    assert message in err
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("hrfs: ")


def test_empty_search_space(hrfs_main: CommandLine) -> None:
    gone = [f"~population.{part}.{name}"
            for part in ("search_space", "mutations") for name in ("lr", "momentum")]  # fmt: skip
    code, _, err = hrfs_main(*gone)
    assert err.startswith("hrfs: population.search_space={}: must name at least one hyperparameter")
    assert code == 2


def test_a_file_that_is_not_yaml(hrfs_main: CommandLine, tmp_path: Path) -> None:
    broken = tmp_path / "own" / "model" / "broken.yaml"
    broken.parent.mkdir(parents=True)
    broken.write_text("a: [1,\nb: 2\n")
    code, _, err = hrfs_main("--config-dir", "own", "model=broken")
    assert (code, err.count("\n")) == (2, 1)
    assert f"configuration file={broken}, line 3: expected" in err


def test_a_log_file_that_cannot_be_written(hrfs_main: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "out" / "hrfs.log").mkdir(parents=True)
    code, _, err = hrfs_main("hydra.run.dir=out")
    assert (code, err.count("\n")) == (2, 1)
    assert "hydra.run.dir=" in err
    assert "cannot be written (Is a directory)" in err


def test_a_folder_with_results_is_not_overwritten(hrfs_main: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.yaml").write_text("seed: 3\n")
    code, _, err = hrfs_main("hydra.run.dir=out")
    assert (code, err.count("\n")) == (2, 1)
    assert "already holds the results of a run; choose another folder" in err
    assert (tmp_path / "out" / "config.yaml").read_text() == "seed: 3\n"


def test_in_a_sweep_hydra_says_which_job(hrfs_main: CommandLine) -> None:
    code, _, err = hrfs_main("-m", "seed=0,1", "population.size=0")
    lines = err.splitlines()
    assert code == 2
    assert lines[-1] == "hrfs: population.size=0: must be at least 1"
    assert len(lines) == 2
    assert "['experiment=demo', 'seed=0', 'population.size=0']" in lines[0]


def test_a_fault_of_the_program_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hrfs.cli import job
    from hrfs.cli.main import main

    def broken(dataset: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "check_data", broken)
    with pytest.raises(ZeroDivisionError, match="a fault of ours"):
        main([])
