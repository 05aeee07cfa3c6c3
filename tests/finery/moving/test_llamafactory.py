"""Files of LLaMA-Factory's as params.yaml: what each key becomes, and that none is lost."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from ruamel.yaml import YAML

from finery.moving.llamafactory.bring import Brought, Wishes, bring
from finery.moving.llamafactory.files.given import MovingError, arguments
from finery.moving.llamafactory.keys.draft import LEFT, NOTED, UNKNOWN
from finery.moving.llamafactory.keys.table import ROWS, known, left
from finery.params.schema import load

PLAIN = Wishes()
LEAST = """
model_name_or_path: org/model
stage: sft
do_train: true
finetuning_type: lora
dataset: talk
template: chatml
output_dir: saves/sft
"""
THEIRS = {
    "data.cutoff_len": 2048, "data.val_size": 0.0, "after": "base", "method": "sft",
    "data": ["talk"], "tuner.type": "lora", "per_device_batch_size": 8,
    "gradient_accumulation_steps": 1, "learning_rate": 5e-5, "lr_scheduler_type": "linear",
    "warmup_ratio": 0.0, "gradient_checkpointing": True,
}  # fmt: skip
"""What LLaMA-Factory has in another way than Finery where nothing is said of it."""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def brought(*files: str, wishes: Wishes = PLAIN, suffix: str = ".yaml") -> Brought:
    """These texts, as files, brought here."""
    names = []
    for number, text in enumerate(files):
        name = f"f{number}{suffix}"
        Path(name).write_text(text, "utf-8")
        names.append(name)
    return bring(names, wishes)


def settings(found: Brought) -> dict[str, Any]:
    """Those that an import can make, by dotted keys; those of the last step without its name."""
    values = YAML(typ="safe").load(found.text)
    flat: dict[str, Any] = {}
    for section in ("model", "data", "evaluate", "resources"):
        for key, value in values.get(section, {}).items():
            flat[f"{section}.{key}"] = value
    for name, step in values["train"].items():
        at = "" if name == values["merge"]["step"] else f"{name}."
        tuner = step.pop("tuner")
        flat |= {f"{at}{key}": value for key, value in step.items()}
        flat |= {f"{at}tuner.{key}": value for key, value in tuner.items()}
    for key in ("data.dataset_dir", "data.test", "model.source"):
        flat.pop(key)
    return flat


def fates(found: Brought) -> dict[str, str]:
    return {k: o.fate for draft in found.drafts for k, o in draft.outcomes.items()}


VARIANTS = {
    "nothing said": ("", {}, ""),
    "of what Finery has anyway": ("learning_rate: 1.0e-4\ncutoff_len: 1024\nlogging_steps: 10",
        {"learning_rate": None, "data.cutoff_len": None}, ""),
    "numbers as words": ("learning_rate: '2e-5'\nnum_train_epochs: '2'\nbf16: 'True'",
        {"learning_rate": 2e-5, "num_train_epochs": 2, "precision": "bf16"}, ""),
    "batches": ("per_device_train_batch_size: 2\ngradient_accumulation_steps: 4",
        {"per_device_batch_size": 2, "gradient_accumulation_steps": 4}, ""),
    "max_steps": ("max_steps: 50\nsave_steps: 0.1\neval_steps: 25",
        {"max_steps": 50, "eval_steps": 25}, "save_steps"),
    "epochs of looks": ("eval_strategy: epoch\nsave_strategy: steps\nval_size: 0.1",
        {"data.val_size": 0.1}, "eval_strategy"),
    "an earlier name": ("evaluation_strategy: steps\nsft_packing: true\nno_cuda: false",
        {"data.packing": True}, ""),
    "warm-up by a share": ("warmup_ratio: 0.1", {"warmup_ratio": None}, ""),
    "warm-up by steps": ("warmup_steps: 20\nwarmup_ratio: 0.5",
        {"warmup_steps": 20, "warmup_ratio": None}, "warmup_ratio"),
    "warm-up below one": ("warmup_steps: 0.03", {"warmup_ratio": 0.03}, ""),
    "a schedule": ("lr_scheduler_type: cosine_with_min_lr\nlr_scheduler_kwargs: {min_lr: 1.0e-6}",
        {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6}}, ""),
    "LoRA": ("lora_rank: 64\nlora_target: q_proj,v_proj\nlora_dropout: 0.1\nuse_rslora: true",
        {"tuner.rank": 64, "tuner.alpha": 128, "tuner.dropout": 0.1, "tuner.use_rslora": True,
         "tuner.target_modules": ["q_proj", "v_proj"]}, ""),
    "LoRA with alpha": ("lora_rank: 8\nlora_alpha: 16\nlora_target: all", {}, ""),
    "LoRA+ and DoRA": ("loraplus_lr_ratio: 16.0\nuse_dora: true\nloraplus_lr_embedding: 1.0e-5",
        {"tuner.loraplus_lr_ratio": 16.0, "tuner.use_dora": True}, "loraplus_lr_embedding"),
    "PiSSA": ("pissa_init: true\npissa_iter: 8\npissa_convert: true\nadditional_target: lm_head",
        {"tuner.init": "pissa_niter_8", "tuner.modules_to_save": ["lm_head"]}, ""),
    "full": ("finetuning_type: full\nlora_rank: 4\npure_bf16: true\ndeepspeed: ds_z3_config.json",
        {"tuner.type": "full", "precision": "bf16", "distributed": "deepspeed_zero3"},
        "lora_rank"),
    "freeze": ("finetuning_type: freeze\nfreeze_trainable_layers: -4\n"
        "freeze_trainable_modules: mlp,self_attn\nfreeze_extra_modules: norm",
        {"tuner.type": "freeze", "tuner.trainable_layers": -4, "tuner.extra_modules": ["norm"],
         "tuner.trainable_modules": ["mlp", "self_attn"]}, ""),
    "LLaMA Pro": ("finetuning_type: freeze\nuse_llama_pro: true\nfreeze_trainable_layers: 8",
        {"tuner.type": "expansion", "tuner.blocks": 8}, ""),
    "OFT": ("finetuning_type: oft\noft_block_size: 16\nmodule_dropout: 0.1\noft_rank: 4",
        {"tuner.type": "oft", "tuner.block_size": 16, "tuner.dropout": 0.1}, "oft_rank"),
    "QLoRA": ("quantization_bit: 4\nquantization_method: bitsandbytes\ndouble_quantization: false",
        {"quantization": {"method": "bnb", "bits": 4, "double_quant": False}}, ""),
    "8 bits of EETQ": ("quantization_bit: 8\nquantization_method: eetq",
        {"quantization": {"method": "torchao", "bits": 8}}, ""),
    "QLoRA of all weights": ("finetuning_type: full\nquantization_bit: 4",
        {"tuner.type": "full"}, "quantization_bit"),
    "GaLore": ("finetuning_type: full\nuse_galore: true\ngalore_target: mlp,self_attn\n"
        "galore_rank: 128\ngalore_layerwise: true\nweight_decay: 0.1",
        {"tuner.type": "full", "optim": "galore_adamw",
         "optim_target_modules": ["mlp", "self_attn"],
         "optim_args": {"rank": 128, "update_proj_gap": 200, "scale": 2.0, "proj_type": "std"}},
        "galore_layerwise weight_decay"),
    "APOLLO": ("finetuning_type: full\nuse_apollo: true\napollo_rank: 256",
        {"tuner.type": "full", "optim": "apollo_adamw", "optim_args": {"rank": 256,
         "update_proj_gap": 200, "scale": 32.0, "proj": "random", "proj_type": "std",
         "scale_type": "channel"}}, ""),
    "BAdam": ("finetuning_type: full\nuse_badam: true\nbadam_mode: layer\nbadam_switch_interval: 9",
        {"tuner.type": "full"}, "use_badam badam_switch_interval"),
    "an optimizer": ("optim: paged_adamw_8bit\nadam_beta2: 0.95\nneftune_noise_alpha: 5",
        {"optim": "paged_adamw_8bit", "adam_beta2": 0.95, "neftune_noise_alpha": 5}, ""),
    "arguments of one": ("optim: sgd\noptim_args: momentum=0.9,nesterov=true",
        {"optim": "sgd", "optim_args": {"momentum": 0.9, "nesterov": True}}, ""),
    "an optimizer that is not offered": ("optim: adamw_anyprecision\nuse_adam_mini: true", {},
        "optim use_adam_mini"),
    "Muon on all weights": ("finetuning_type: full\nuse_muon: true", {"tuner.type": "full"},
        "use_muon"),
    "datasets": ("dataset: talk, more\neval_dataset: held\nmix_strategy: interleave_under\n"
        "interleave_probs: 3,1\nmax_samples: 1000\nval_size: 0",
        {"data": {"train": ["talk", "more"], "eval_dataset": ["held"],
                  "interleave_probs": [0.75, 0.25]},
         "data.mix_strategy": "interleave_under", "data.max_samples": 1000}, ""),
    "packing": ("packing: true\nneat_packing: false\nmask_history: true\ntrain_on_prompt: false",
        {"data.packing": True, "data.mask_history": True}, ""),
    "both masks": ("mask_history: true\ntrain_on_prompt: true", {"data.mask_history": True},
        "train_on_prompt"),
    "thinking": ("template: qwen3\nenable_thinking: false",
        {"data.chat_template_kwargs": {"enable_thinking": False}}, ""),
    "caches and workers": ("overwrite_cache: true\npreprocessing_num_workers: 16\n"
        "dataloader_num_workers: 4\nddp_timeout: 180000000\ntokenized_path: cache", {},
        "overwrite_cache preprocessing_num_workers dataloader_num_workers ddp_timeout"
        " tokenized_path"),
    "kernels": ("flash_attn: fa2\nenable_liger_kernel: true\nuse_unsloth: true\nshift_attn: true",
        {"use_liger_kernel": True}, "use_unsloth shift_attn"),
    "no checkpointing": ("disable_gradient_checkpointing: true\nflash_attn: disabled",
        {"gradient_checkpointing": None, "attn_implementation": "eager"}, ""),
    "long contexts": ("rope_scaling: yarn\ncutoff_len: 16384",
        {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}, "data.cutoff_len": 16384}, ""),
    "stopping early": ("val_size: 0.1\nearly_stopping_steps: 3\nload_best_model_at_end: true\n"
        "metric_for_best_model: eval_loss",
        {"data.val_size": 0.1, "early_stopping_patience": 3, "load_best_model_at_end": True}, ""),
    "stopping with nothing to look at": ("early_stopping_steps: 3", {}, "early_stopping_steps"),
    "trackers": ("report_to: [wandb, neptune]\nrun_name: mine\nuse_swanlab: true\n"
        "swanlab_api_key: secret",
        {"report_to": ["wandb", "swanlab"]}, "run_name swanlab_api_key"),
    "of the generation": ("do_sample: false\nmax_new_tokens: 64\npredict_with_generate: false", {},
        "do_sample max_new_tokens"),
    "vision": ("freeze_vision_tower: false\nfreeze_multi_modal_projector: false\n"
        "image_max_pixels: 262144\nvideo_fps: 1.0",
        {"freeze_vision": False}, "image_max_pixels video_fps"),
    "FSDP": ("fsdp: full_shard auto_wrap\nfsdp_config: x.json", {"distributed": "fsdp2"},
        "fsdp_config"),
    "pretraining": ("stage: pt\nstreaming: false",
        {"method": "pretrain", "data.packing": True}, ""),
    "DPO": ("stage: dpo\npref_beta: 0.2\npref_loss: sigmoid\npref_ftx: 0.5\nlora_dropout: 0.05",
        {"method": "dpo", "beta": 0.2, "loss": {"sigmoid": 1, "sft": 0.5}}, "lora_dropout"),
    "DPO by other losses": ("stage: dpo\npref_loss: ipo\nref_model: org/model",
        {"method": "dpo", "loss": "ipo"}, ""),
    "DPO beside another model": ("stage: dpo\nref_model: org/other", {"method": "dpo"},
        "ref_model"),
    "cDPO": ("stage: dpo\ndpo_label_smoothing: 0.1",
        {"method": "dpo", "loss": "robust", "label_smoothing": 0.1}, ""),
    "DPO of 0.7": ("stage: dpo\ndpo_beta: 0.3\ndpo_loss: kto_pair\ndpo_ftx: 0.0",
        {"method": "dpo", "beta": 0.3}, "pref_loss"),
    "ORPO": ("stage: dpo\npref_loss: orpo\npref_beta: 0.1", {"method": "orpo"}, ""),
    "SimPO": ("stage: dpo\npref_loss: simpo\nsimpo_gamma: 0.7",
        {"method": "simpo", "beta": 0.1, "gamma": 0.7}, ""),
    "KTO": ("stage: kto\nkto_chosen_weight: 2.0\nper_device_train_batch_size: 1\n"
        "gradient_accumulation_steps: 8\nkto_ftx: 0.1",
        {"method": "kto", "desirable_weight": 2.0, "per_device_batch_size": 2,
         "gradient_accumulation_steps": 4}, "pref_ftx"),
    "unknown": ("lora_rnak: 4\nthe_weather: fine", {}, ""),
}  # fmt: skip
"""What is added to a file that says little: what changes in its settings, what is not carried."""


@pytest.mark.parametrize(("added", "changed", "lost"), VARIANTS.values(), ids=VARIANTS)
def test_every_key_is_accounted_for(added: str, changed: dict[str, Any], lost: str) -> None:
    text = "\n".join([*(line for line in LEAST.splitlines() if not _said(line, added)), added])
    found = brought(text)
    assert settings(found) == {k: v for k, v in (THEIRS | changed).items() if v is not None}
    given = YAML(typ="safe").load(text)
    said = fates(found)
    assert len(said) == len(given)
    assert {key for key, fate in said.items() if fate == LEFT} == set(lost.split())


def _said(line: str, added: str) -> bool:
    return bool(line) and f"\n{line.partition(':')[0]}:" in f"\n{added}"


def test_what_is_unknown_is_said_with_the_nearest_name() -> None:
    found = brought(LEAST + "lora_rnak: 4\n")
    (outcome,) = (o for d in found.drafts for o in d.outcomes.values() if o.fate == UNKNOWN)
    assert outcome.note == "no argument of LLaMA-Factory's; did you mean lora_rank?"
    assert any(each.startswith("f0.yaml:9: lora_rnak: no argument") for each in found.todo)


def test_comments_say_where_each_value_came_from() -> None:
    text = brought(LEAST + "lora_rank: 16\n").text
    assert "      rank: 16  # f0.yaml:9 lora_rank\n" in text
    assert "      alpha: 32  # LLaMA-Factory's default: twice lora_rank\n" in text
    assert "    learning_rate: 5.0e-05  # LLaMA-Factory's default\n" in text


def test_the_report_has_every_key_and_no_secret() -> None:
    brought(LEAST + "hf_hub_token: hf_abc\n")
    report = Path("reports/import/llamafactory.md").read_text()
    found = json.loads(Path("reports/import/llamafactory.json").read_text())
    assert [each["key"] for each in found["keys"]][-1] == "hf_hub_token"
    assert "hf_abc" not in report + json.dumps(found)
    assert "| 9 | hf_hub_token: (not shown) | not carried |" in report


def test_the_table_has_every_argument_of_llamafactory() -> None:
    assert set(arguments()) <= known()
    assert len(arguments()) == 353
    twice = {key for row in ROWS for key in row.names} & set(left())
    assert twice == {
        "max_new_tokens", "temperature", "top_p", "do_predict", "predict_with_generate",
        "do_sample", "top_k", "repetition_penalty", "per_device_eval_batch_size", "do_eval",
        "infer_dtype", "export_quantization_nsamples",
    }  # fmt: skip


EXPORT = """
model_name_or_path: org/model
adapter_name_or_path: saves/sft
template: chatml
finetuning_type: lora
export_dir: models/My Bot
export_size: 5
export_device: auto
export_quantization_bit: 4
export_quantization_nsamples: 96
export_quantization_dataset: data/c4.json
"""


def test_train_and_export_are_one_pipeline() -> None:
    found = brought(EXPORT, LEAST)
    params = load(Path("params.yaml"))
    assert (params.package.name, params.merge.step) == ("My-Bot", "sft")
    assert params.data.calibration_samples == 96
    assert (params.quantize.formats, params.quantize.gptq.bits) == (["gptq"], 4)
    assert fates(found)["export_quantization_dataset"] == LEFT
    assert len(found.drafts[0].outcomes) == 10


def test_an_export_goes_with_the_training_of_its_base_model_whatever_the_paths_are() -> None:
    found = brought(LEAST, EXPORT.replace("saves/sft", "/elsewhere/train_2024-05-25"))
    outcome = found.drafts[1].outcomes["adapter_name_or_path"]
    assert (outcome.fate, outcome.to) == (NOTED, "merge.step")
    assert "the paths differ" in outcome.note


def test_files_are_a_chain_by_the_folders_that_they_name() -> None:
    second = LEAST.replace("stage: sft", "stage: dpo").replace("saves/sft", "saves/dpo")
    second = second.replace("dataset: talk", "dataset: choices")
    second += (
        "adapter_name_or_path: /root/LLaMA-Factory/saves/sft/checkpoint-500\ncutoff_len: 512\n"
    )
    brought(second, LEAST)  # in any order
    params = load(Path("params.yaml"))
    assert {name: step.after for name, step in params.train.items()} == {
        "sft": "base",
        "dpo": "sft",
    }
    assert (params.merge.step, params.quantize.formats) == ("dpo", [])
    assert [params.data_of(name).cutoff_len for name in ("sft", "dpo")] == [2048, 512]


def test_a_chain_goes_on_from_an_exported_model() -> None:
    second = LEAST.replace("org/model", "models/My Bot").replace("saves/sft", "saves/more")
    brought(LEAST, EXPORT, second)
    params = load(Path("params.yaml"))
    assert params.train["sft_2"].after == "sft"
    assert params.model.source == "hf:org/model"


PPO = (
    LEAST.replace("stage: sft", "stage: ppo").replace("saves/sft", "saves/ppo")
    + "reward_model: saves/rm\nadapter_name_or_path: saves/sft\nppo_epochs: 2\ntop_p: 0.9\n"
)


def test_ppo_is_rloo_behind_its_reward_model() -> None:
    judge = LEAST.replace("stage: sft", "stage: rm").replace("saves/sft", "saves/rm")
    judge = judge.replace("dataset: talk", "dataset: choices") + "adapter_name_or_path: saves/sft\n"
    found = brought(PPO, judge, LEAST)
    steps = load(Path("params.yaml")).train
    assert {name: (s.method, s.after) for name, s in steps.items()} == {
        "sft": ("sft", "base"), "reward": ("reward", "sft"), "rloo": ("rloo", "reward"),
    }  # fmt: skip
    assert fates(found)["ppo_epochs"] == LEFT
    assert (steps["rloo"].max_completion_length, steps["rloo"].top_p) == (1024, 0.9)


def test_a_prediction_says_what_is_asked() -> None:
    asks = LEAST.replace("do_train", "do_predict").replace(
        "dataset: talk", "eval_dataset: talk,held"
    )
    brought(LEAST, asks + "max_new_tokens: 99\npredict_with_generate: true\n")
    params = load(Path("params.yaml"))
    assert (params.data.test, params.evaluate.max_new_tokens) == (["held"], 99)


@pytest.mark.parametrize(
    ("said", "evaluate"),
    [
        ("", (0.0, 1.0, 0)),
        ("do_sample: false\ntop_p: 0.5", (0.0, 1.0, 0)),
        ("temperature: 0", (0.0, 1.0, 0)),
        ("do_sample: true", (0.95, 0.7, 50)),
        ("temperature: 0.3\ntop_k: 0", (0.3, 0.7, 0)),
    ],
)
def test_a_prediction_draws_only_if_it_says_so(said: str, evaluate: tuple[float, ...]) -> None:
    asks = LEAST.replace("do_train", "do_predict").replace("dataset: talk", "eval_dataset: held")
    brought(LEAST, asks + said)
    found = load(Path("params.yaml")).evaluate
    assert (found.temperature, found.top_p, found.top_k) == evaluate


def test_a_chat_file_becomes_nothing_and_is_accounted_for() -> None:
    chat = "model_name_or_path: org/model\nadapter_name_or_path: saves/sft\ntemplate: chatml\n"
    found = brought(LEAST, chat + "infer_backend: vllm\ntemperature: 0.5\nvllm_maxlen: 8192\n")
    assert len(found.drafts[1].outcomes) == 6
    assert "finery chat" in found.drafts[1].outcomes["temperature"].note


def test_json_is_read_too() -> None:
    values = YAML(typ="safe").load(LEAST) | {"lora_rank": 4}
    brought(json.dumps(values), suffix=".json")
    assert load(Path("params.yaml")).train["sft"].tuner.rank == 4


SCRIPT = """#!/bin/bash
# it's how we train
export USE_MODELSCOPE_HUB=1
MODEL=Qwen/Qwen2.5-1.5B-Instruct
CUDA_VISIBLE_DEVICES=0,1,2,3 llamafactory-cli train \\
    --stage sft --do_train \\
    --model_name_or_path $MODEL \\
    --dataset talk,more --template qwen \\
    --finetuning_type lora --lora-rank=32 \\
    --bf16 True --output_dir saves/zhouyi \\
    --per_device_train_batch_size 2 --gradient_accumulation_steps 4
echo done
"""


def test_a_script_is_read_with_its_environment() -> None:
    brought(SCRIPT, suffix=".sh")
    params = load(Path("params.yaml"))
    step = params.train["sft"]
    assert params.model.source == "modelscope:Qwen/Qwen2.5-1.5B-Instruct"
    assert (step.data.train, step.tuner.rank, step.precision) == (["talk", "more"], 32, "bf16")
    assert (step.effective_batch_size, step.per_device_batch_size) == (32, 2)
    assert params.resources.gpus("train") == 4


@pytest.mark.parametrize(
    "command",
    [
        "llamafactory-cli train f0.yaml lora_rank=4",
        "FORCE_TORCHRUN=1 lmf train f0.yaml lora_rank=4",
        "torchrun --nproc_per_node 1 src/train.py f0.yaml lora_rank=4",
        "python src/train.py --stage sft --do_train True --model_name_or_path org/model"
        " --dataset talk --template chatml --output_dir saves/sft --lora_rank 4",
        "accelerate launch --config_file c.yaml src/train_bash.py f0.yaml lora_rank=4",
    ],
)
def test_a_command_is_read(command: str) -> None:
    Path("f0.yaml").write_text(LEAST)
    bring(command.split())
    assert load(Path("params.yaml")).train["sft"].tuner.rank == 4


BOARD = """
top.booster: liger_kernel
top.checkpoint_path: []
top.finetuning_type: lora
top.hub_name: modelscope
top.model_name: Qwen2.5-0.5B-Instruct
top.quantization_bit: '4'
top.quantization_method: bnb
top.rope_scaling: none
top.template: qwen
train.additional_target: ''
train.batch_size: 2
train.compute_type: bf16
train.create_new_adapter: false
train.cutoff_len: 1024
train.dataset: [identity]
train.dataset_dir: data
train.ds_offload: false
train.ds_stage: none
train.extra_args: '{"optim": "adamw_torch"}'
train.gradient_accumulation_steps: 8
train.learning_rate: 5e-5
train.lora_alpha: 16
train.lora_rank: 8
train.loraplus_lr_ratio: 0
train.lr_scheduler_type: cosine
train.max_samples: '100000'
train.neftune_alpha: 0
train.num_train_epochs: '3.0'
train.training_stage: Supervised Fine-Tuning
train.val_size: 0
"""


def test_what_llama_board_keeps_is_read() -> None:
    found = brought(BOARD)
    params = load(Path("params.yaml"))
    step = params.train["sft"]
    assert params.model.source == "modelscope:Qwen/Qwen2.5-0.5B-Instruct"
    assert step.use_liger_kernel and step.quantization.bits == 4
    assert (step.batch, step.precision, step.optim) == ((2, 8), "bf16", "adamw_torch")
    assert UNKNOWN not in fates(found).values()


V1 = """
model: Qwen/Qwen3-0.6B
trust_remote_code: true
template: qwen3_nothink
kernel_config: {name: auto, include_kernels: auto}
peft_config: {name: lora, r: 16, lora_alpha: 32, target_modules: all}
quant_config: null
dist_config: {name: fsdp2}
train_dataset: data/v1_sft_demo.yaml
output_dir: outputs/test
micro_batch_size: 1
cutoff_len: 2048
learning_rate: 1.0e-4
bf16: true
max_steps: 10
"""


def test_a_file_of_v1_is_read() -> None:
    found = brought(V1)
    step = load(Path("params.yaml")).train["sft"]
    assert (step.tuner.rank, step.max_steps, step.distributed) == (16, 10, "fsdp2")
    assert fates(found)["kernel_config.include_kernels"] == UNKNOWN


ROWS_OF_TALK = [
    {"instruction": f"{n}?", "input": "", "output": f"I am {{{{name}}}}, {n}."} for n in range(40)
]


def test_rows_are_held_out_where_nothing_is_there_to_ask(project: Path) -> None:
    (project / "talk.json").write_text(json.dumps(ROWS_OF_TALK))
    brought(LEAST + "val_size: 8\n")
    params = load(Path("params.yaml"))
    assert (params.data.dataset_dir, params.data.test) == ("data/llamafactory", ["talk_test"])
    assert (params.data.deduplicate, params.data.val_size) == ("exact", 0.2)
    held = json.loads(Path("data/llamafactory/talk_test.json").read_text())
    assert [row["instruction"] for row in held] == ["0?", "10?", "20?", "30?"]
    info = json.loads(Path("data/llamafactory/dataset_info.json").read_text())
    assert info["talk_test"]["columns"] == info["talk"]["columns"]
    assert list(params.data.variables) == ["name"]


def test_rows_beyond_max_samples_are_asked_first(project: Path) -> None:
    (project / "talk.json").write_text(json.dumps(ROWS_OF_TALK))
    brought(LEAST + "max_samples: 30\n")
    held = json.loads(Path("data/llamafactory/talk_test.json").read_text())
    assert [row["instruction"] for row in held] == ["30?", "32?", "35?", "37?"]
    assert load(Path("params.yaml")).data.deduplicate == "off"


def test_what_was_copied_before_is_kept(project: Path) -> None:
    (project / "talk.json").write_text(json.dumps(ROWS_OF_TALK))
    brought(LEAST)
    test = Path("data/llamafactory/talk_test.json")
    test.write_text(json.dumps([ROWS_OF_TALK[3] | {"keywords": ["3"]}]))
    info = Path("data/llamafactory/dataset_info.json")
    info.write_text(json.dumps(json.loads(info.read_text()) | {"mine": {"file_name": "m.json"}}))
    brought(LEAST + "max_samples: 30\n")
    assert json.loads(test.read_text())[0]["keywords"] == ["3"]
    assert "mine" in json.loads(info.read_text())
    assert load(Path("params.yaml")).data.deduplicate == "exact"
    (project / "talk.json").write_text(json.dumps(ROWS_OF_TALK[1:]))
    with pytest.raises(MovingError, match=r"data/llamafactory/talk.json: is another file than"):
        brought(LEAST)


def test_a_folder_of_windows_is_named_and_not_taken() -> None:
    found = brought(LEAST + "dataset_dir: D:\\\\llm\\\\data\n".replace("\\\\", "\\"))
    assert load(Path("params.yaml")).data.dataset_dir == "data/llamafactory"
    assert any("D:\\llm\\data" in each for each in found.todo)


def test_a_folder_that_has_all_stays_where_it_is(project: Path) -> None:
    folder = project / "LLaMA-Factory" / "data"
    folder.mkdir(parents=True)
    for name in ("talk", "held"):
        (folder / f"{name}.json").write_text(json.dumps(ROWS_OF_TALK[:2]))
    entries = {name: {"file_name": f"{name}.json"} for name in ("talk", "held")}
    (folder / "dataset_info.json").write_text(json.dumps(entries))
    (folder.parent / "examples").mkdir()
    (folder.parent / "examples" / "x.yaml").write_text(LEAST)
    bring(["LLaMA-Factory/examples/x.yaml"], Wishes(tests=("held",)))
    params = load(Path("params.yaml"))
    assert (params.data.dataset_dir, params.data.test) == ("LLaMA-Factory/data", ["held"])
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"conversations": []},
         {"formatting": "sharegpt", "columns": {"messages": "conversations"}}),
        ({"text": "a"}, {"columns": {"prompt": "text"}}),
        ({"instruction": "a", "chosen": "b", "rejected": "c"},
         {"ranking": True,
          "columns": {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"}}),
        ({"instruction": "a", "output": "b", "label": True},
         {"columns": {"prompt": "instruction", "response": "output", "kto_tag": "label"}}),
    ],
)  # fmt: skip
def test_a_file_without_an_entry_is_what_its_rows_look_like(
    project: Path, row: dict[str, Any], kind: dict[str, Any]
) -> None:
    (project / "talk.json").write_text(json.dumps([row, row]))
    brought(LEAST)
    info = json.loads(Path("data/llamafactory/dataset_info.json").read_text())
    assert info["talk"] == {"file_name": "talk.json"} | kind


def test_an_old_params_yaml_is_kept(project: Path) -> None:
    (project / "params.yaml").write_text("mine: 1\n")
    assert brought(LEAST).kept == Path("params.1.yaml")
    assert brought(LEAST).kept is None  # the same again
    assert brought(LEAST + "seed: 7\n").kept == Path("params.2.yaml")
    assert (project / "params.1.yaml").read_text() == "mine: 1\n"


def test_the_model_that_is_there_can_be_kept(project: Path) -> None:
    shipped = Path(__file__).resolve().parents[3] / "params.yaml"
    (project / "params.yaml").write_text(shipped.read_text())
    old = load(project / "params.yaml")
    found = brought(LEAST + "fp16: true\n", EXPORT, wishes=Wishes(keep_model=True))
    params = load(project / "params.yaml")
    assert params.model == old.model
    assert params.quantize.gptq.group_size == "auto"
    assert params.train["sft"].precision == "auto"
    assert found.drafts[0].outcomes["model_name_or_path"].fate == LEFT
    assert found.drafts[0].outcomes["fp16"].fate == NOTED


KINDS = {
    "bool": (True, "False"), "int": (4, "8", -1, 0.5), "float": (0, 0.1, "1e-4", 5),
    "str": ("a", "a,b", ["q", "v"], 7, "all"), "list": ("a,b", ["a"]), "dict": ({"a": 1}, "x.json"),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_said_is_accounted_for_or_refused_in_one_line(seed: int) -> None:
    random = Random(seed)
    values = YAML(typ="safe").load(LEAST)
    for key in random.sample(sorted(arguments()), 25):
        values[key] = random.choice((*KINDS[arguments()[key].kind], None))
    Path("f.json").write_text(json.dumps(values))
    try:
        found = bring(["f.json"], Wishes(write=False))
    except MovingError as error:
        assert "\n" not in str(error)
    else:
        assert set(fates(found)) == set(values)


def test_nothing_is_written_to_look(project: Path) -> None:
    (project / "talk.json").write_text(json.dumps(ROWS_OF_TALK))
    found = brought(LEAST, wishes=Wishes(write=False))
    assert "test: [talk_test]" in found.text
    assert sorted(path.name for path in project.iterdir()) == ["f0.yaml", "talk.json"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2", "f0.yaml: not a file of LLaMA-Factory's: has none of adapter_name_or_path"),
        ("- a\n- b", "f0.yaml: not a file of LLaMA-Factory's: no mapping of arguments"),
        ("a: [1", "f0.yaml:1: not YAML: expected ',' or ']'"),
        ("", "f0.yaml: not a file of LLaMA-Factory's: no mapping of arguments"),
        ("model: 1\ndata: 2\ntrain: 3\nmerge: 4", "f0.yaml: is a params.yaml already"),
        (EXPORT, "f0.yaml: trains nothing; give the file that trained the model, too"),
        ("model_name_or_path: a/b\ntemplate: qwen",
         "f0.yaml: trains nothing; give the file that trained the model, too; to talk to a model"),
        (LEAST.replace("sft\n", "stf\n", 1), "f0.yaml:3: stage: there is no stf; known are sft"),
        (LEAST + "learning_rate: fast", "f0.yaml:9: learning_rate: must be a number, not fast"),
        (LEAST.replace("lora", "lore"), "f0.yaml:5: finetuning_type: there is no lore"),
        (LEAST.replace("dataset: talk", ""), "f0.yaml: dataset: missing; there is nothing"),
        (PPO, "f0.yaml: stage: ppo learns from a reward model; give the file that trained it"),
        (LEAST.replace("stage: sft", "stage: rm"), "f0.yaml: trains a reward model alone"),
    ],
)  # fmt: skip
def test_what_cannot_be_brought_is_said_in_one_line(text: str, said: str) -> None:
    with pytest.raises(MovingError) as error:
        brought(text)
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)
    assert not Path("params.yaml").exists()


def test_two_base_models_are_no_chain() -> None:
    with pytest.raises(MovingError, match=r"f1.yaml: model_name_or_path: hf:org/other is another"):
        brought(LEAST, LEAST.replace("org/model", "org/other").replace("saves/sft", "saves/b"))


def test_datasets_that_are_elsewhere_are_named() -> None:
    found = brought(LEAST + "dataset_dir: REMOTE:org/demo\n")
    assert load(Path("params.yaml")).data.dataset_dir == "data/llamafactory"
    assert (
        "data.dataset_dir: REMOTE:org/demo is at Hugging Face: hf download org/demo --repo-type"
        " dataset --local-dir data/llamafactory"
    ) in found.todo


def test_a_missing_file_is_said() -> None:
    with pytest.raises(MovingError, match=r"none.yaml: no such file"):
        bring(["none.yaml"])
