from pathlib import Path

from finery.quantization.progress import Progress, _left


def test_the_layer_is_read_from_the_bars_as_they_are_written(tmp_path: Path):
    log = tmp_path / "log"
    log.write_text("loading\n")
    progress = Progress(log)
    assert (progress.advance(), progress.layer) == (None, None)
    with log.open("a") as stream:
        stream.write("Quantizing layer 0 of 29\rQuantizing layer 0 of 29\r")
        stream.flush()
        assert progress.advance() == "layer 1 of 30"
        assert progress.advance() is None
        stream.write("Quantizing layer 3 of 29\rQuantizing layer 4 of 29\n")
    line = progress.advance()
    assert line is not None and line.startswith("layer 5 of 30, ") and line.endswith(" s left")
    assert (progress.advance(), progress.layer) == (None, "layer 5 of 30")


def test_progress_has_a_rate_and_the_time_left():
    assert _left(0, 29, 5.0) == ""
    assert _left(4, 29, 20.0) == ", 5.0 s each, 130 s left"
