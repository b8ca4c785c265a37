"""The training stage on a tiny run, in this process."""

from tests.train.conftest import STEPS, MakePlace


def test_a_run_leaves_rows_checkpoints_and_a_final_word(make_place: MakePlace) -> None:
    place = make_place()
    train = place.run()
    print(
        sorted(p.name for p in train.iterdir()),
        place.rows("loss"),
        place.rows("validation"),
        place.rows("samples"),
        place.rows("metrics"),
    )
    print((train / "final.json").read_text(), (train / "manifest.json").read_text())
    assert STEPS
