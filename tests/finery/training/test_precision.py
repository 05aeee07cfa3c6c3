"""What the number type is, and where one that is only emulated is refused."""

import pytest
import torch

from finery.models.load import compute_dtype, cpu_has_bf16
from finery.training.precision import PrecisionError, training_dtype
from tests.steps import step

on_a_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


def test_what_is_computed_here():
    assert training_dtype(step(precision="auto")) == compute_dtype()
    assert training_dtype(step(precision="fp32")) == "float32"


@on_a_cpu
@pytest.mark.skipif(cpu_has_bf16(), reason="this CPU has bf16")
def test_emulated_bf16_is_refused_with_advice():
    with pytest.raises(PrecisionError) as caught:
        training_dtype(step(precision="bf16"))
    assert caught.value.exit_status == 2
    assert str(caught.value) == (
        "train.sft.precision: there is no GPU, and this CPU only emulates bf16, many times slower;"
        " set train.sft.precision: auto, which is fp32 here"
    )


@on_a_cpu
@pytest.mark.skipif(not cpu_has_bf16(), reason="this CPU has no bf16")
def test_a_cpu_with_bf16_may_use_it():
    assert training_dtype(step(precision="bf16")) == "bfloat16"


@on_a_cpu
def test_emulated_fp16_is_spoken_of(capsys: pytest.CaptureFixture):
    assert training_dtype(step(precision="fp16")) == "float16"
    assert "a CPU only emulates fp16" in capsys.readouterr().out


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_is_asked_what_it_has():
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    assert training_dtype(step(precision="auto")) == ("bfloat16" if native else "float16")
    assert training_dtype(step(precision="fp16")) == "float16"
    if not native:
        with pytest.raises(PrecisionError, match="this GPU only emulates bf16"):
            training_dtype(step(precision="bf16"))
