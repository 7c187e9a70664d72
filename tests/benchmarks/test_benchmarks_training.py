"""The benchmark of training: each way trains, and the table says what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.training.__main__ import COLUMNS, cases, main, measure, parse, row
from benchmarks.training.bare import Bare, augmented
from benchmarks.training.case import Case
from benchmarks.training.original import Original, PictureByPicture
from benchmarks.training.processes import NO_MEMORY, Measured
from benchmarks.training.slices import EVALUATED_PER_TRAINED, Slices, settings

pytestmark = pytest.mark.torch

TINY = Case(
    network="small_resnet", stem=None, batch=16, samples=96, on_gpu=False, threads=1,
    reduced_precision=False, compiled=False,
)  # fmt: skip


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("way", [Original, Bare, Slices])
def test_each_way_trains(way: type[Original | Bare | Slices]) -> None:
    trained = way(TINY)
    figures = trained.round(2)
    assert figures["images_per_s"] > 0
    assert "32" in trained.told
    if way is Slices:
        assert 0 < figures["evaluated_images_per_s"] < figures["images_per_s"]
        assert 0 < figures["loading"] < 1
        assert 0 < figures["matmul"] < 1


def test_the_original_gives_the_same_pixels_one_by_one() -> None:
    image, label = PictureByPicture(8)[5]
    assert (image.shape, image.dtype, 0 <= label < 10) == ((3, 32, 32), torch.float32, True)
    assert -1 <= image.min() < image.max() <= 1


def test_the_bare_loop_augments() -> None:
    images = torch.full((64, 32, 32, 3), 255, dtype=torch.uint8)
    shifted = augmented(images)
    assert shifted.shape == (64, 3, 32, 32)
    assert shifted.is_contiguous(memory_format=torch.channels_last)
    assert set(shifted.unique().tolist()) == {-1.0, 1.0}  # black comes in, white stays
    assert (shifted[:, :, 16, 16] == 1).all()
    assert not (shifted == 1).all()


def test_a_slice_evaluates_in_the_proportion_of_the_papers() -> None:
    assert settings(TINY, 50)["trainer"]["validation_samples"] == round(16 * 50 * 5000 / 25600)
    assert EVALUATED_PER_TRAINED * 50 * 512 == 5000


def test_the_rows() -> None:
    options = parse(["--networks", "resnet18", "small_resnet", "--batches", "128"])
    assert [case.name for case in cases(options)] == [
        "resnet18/imagenet",
        "resnet18/cifar",
        "small_resnet",
    ]
    with pytest.raises(SystemExit, match="2"):
        parse(["--batches", "0"])


def test_a_row_has_the_fastest_rounds_and_the_ratios_of_neighbours() -> None:
    rounds = [
        {"images_per_s": s, "evaluated_images_per_s": 0.9 * s, "loading": 0.01, "matmul": 0.5}
        for s in (90.0, 95.0, 20.0)
    ]
    measured = {
        "original": Measured([{"images_per_s": s} for s in (18.0, 19.0, 2.0)], "slow", 100.0),
        "bare": Measured([{"images_per_s": s} for s in (100.0, 100.0, 20.0)], "bf16", 200.0),
        "slice": Measured(rounds, "32-true", 300.0),
    }
    cells = dict(zip(COLUMNS, row(TINY, measured), strict=False))
    assert cells["slice im/s"] == "95"
    assert cells["evaluated im/s"] == "86"
    assert (cells["original im/s"], cells["bare im/s"]) == ("19", "100")
    assert (cells["slice / bare"], cells["slice / original"]) == ("0.95", "5.00")
    assert (cells["loading"], cells["matmul"]) == ("1.0%", "50%")
    assert (cells["peak MB"], cells["bare"]) == ("100 / 200 / 300", "bf16")
    measured["bare"] = Measured(failed=NO_MEMORY)
    cells = dict(zip(COLUMNS, row(TINY, measured), strict=False))
    assert (cells["bare im/s"], cells["slice / bare"]) == (NO_MEMORY, "")


def test_each_way_has_as_many_rounds_whatever_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    class Paced:
        def __init__(self, way: str, case: Case) -> None:
            self._way, self.measured = way, Measured()

        def round(self, iterations: int) -> float:
            asked.append((self._way, iterations))
            self.measured.rounds.append({"images_per_s": 1.0})
            return {"bare": 9.0, "slice": 11.0}[self._way]  # 2 and 1 of them are about 15 s

        def end(self) -> Measured:
            return self.measured

    monkeypatch.setattr("benchmarks.training.__main__.Process", Paced)
    options = parse(["--ways", "bare", "slice", "--rounds", "3", "--round-s", "15"])
    measured = measure(TINY, options)
    assert {way: len(of_way.rounds) for way, of_way in measured.items()} == {"bare": 3, "slice": 3}
    there, back = [("bare", 2), ("slice", 1)], [("slice", 1), ("bare", 2)]
    assert asked[-6:] == [*there, *back, *there]


@pytest.mark.slow
def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    main([
        "--networks", "small_resnet", "--batches", "16", "--samples", "96", "--rounds", "1",
        "--round-s", "0.01", "--threads", "1", "--full-precision", "--ways", "bare",
    ])  # fmt: skip
    table = capsys.readouterr().out
    assert "small_resnet" in table
    assert "1 threads, 1 rounds" in table
