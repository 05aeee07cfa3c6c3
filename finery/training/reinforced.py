"""Reinforcement learning by TRL: answers to prompts that are tokens, rewarded and learnt from."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finery.models.end_of_turn import end_of_turn
from finery.models.policy import policy_of
from finery.models.scoring import is_scorer
from finery.models.tokenizer import load_tokenizer
from finery.params.reinforced import ReinforcedParams
from finery.training.arguments import arguments, on_one_gpu
from finery.training.checkpoints import mark_complete
from finery.training.precision import training_dtype
from finery.training.preferences import ready, reference
from finery.training.progress import report_progress
from finery.training.prompts import PromptsInOrder, answers_an_epoch, read_prompts
from finery.training.rewards import RewardError, RewardFunction, RewardModel, Texts
from finery.training.schedule import refuse_schedule
from finery.training.start import load_start, peft_config


def reinforced(
    kind: type,
    config: type,
    params: ReinforcedParams,
    folders: tuple[Path, Path, Path],
    **own: Any,
) -> Any:
    """One of TRL's trainers, of the class `kind` with a `config`, over the prompts of the data.

    `folders` are start, data and checkpoints, `own` what the method sets in the configuration.
    After a reward step, `start` has the model that is trained and the one that rewards it.
    """
    on_one_gpu()
    from finery.training.learning import StopsAtNan

    class Trainer(PromptsInOrder, StopsAtNan, kind):
        """In an order that can be resumed, up to the first NaN, on prompts that are tokens."""

        def _tokenize_prompts(self, prompts: list[list[int]]) -> tuple[list[list[int]], None, dict]:
            return prompts, None, {}

        def _generate_single_turn(self, *given: Any, **named: Any) -> Any:
            try:
                return super()._generate_single_turn(*given, **named)
            except RuntimeError as error:  # torch's, where it draws a token
                if "probability tensor" not in str(error):
                    raise
            cause = None if self.state.global_step else self._untrained()
            self._stop(self.state.global_step + 1, "the probability of a token", math.nan, cause)

        def train(self, *given: Any, **named: Any) -> Any:
            done = super().train(*given, **named)
            refuse_equal_rewards(self.state.log_history, params)
            return done

    start, data, checkpoints = folders
    policy = policy_of(start)
    training, validation = (
        read_prompts(data / f"{name}.parquet", params) for name in ("train", "validation")
    )
    refuse_schedule(params, answers_an_epoch(params, len(training)))
    tokenizer, end = load_tokenizer(policy), end_of_turn(policy)
    rewards = functions(params, data, Texts(tokenizer, _stops(tokenizer, end)), training)
    dtype = training_dtype(params)
    model = load_start(params, policy, dtype)
    model.generation_config.eos_token_id = _stops(tokenizer, end)
    config_of_adapter = peft_config(params, model)
    if is_scorer(start):
        rewards.insert(0, RewardModel(start, end, params.batch[0]))
    trainer = Trainer(
        model=model,
        reward_funcs=rewards,
        args=config(
            **arguments(params, dtype, checkpoints, validate=len(validation) > 0),
            **own,
            num_generations=params.num_generations,
            num_generations_eval=1,
            max_completion_length=params.max_completion_length,
            temperature=params.temperature,
            top_p=params.top_p,
            beta=params.beta,
            epsilon=params.epsilon,
            num_iterations=params.num_iterations,
            mask_truncated_completions=params.mask_truncated_completions,
            reward_weights=params.reward_weights,
            remove_unused_columns=False,
        ),
        train_dataset=training,
        eval_dataset=validation if len(validation) else None,
        processing_class=tokenizer,
        peft_config=config_of_adapter,
        callbacks=[mark_complete(), report_progress()],
    )
    if params.beta and config_of_adapter is not None:
        _refer_to(reference(params, policy, config_of_adapter, model), trainer)
    return ready(trainer, params)


def functions(
    params: ReinforcedParams, data: Path, texts: Texts, samples: Any
) -> list[Callable[..., list[float]]]:
    """The user's reward functions, tried on some of the samples. Raises `RewardError`."""
    key = f"{params.key}.data.reward_functions"
    found = [RewardFunction(data, name, key, texts) for name in params.data.reward_functions]
    for function in found:
        function.try_on(samples)
    return found


def refuse_equal_rewards(log: list[dict[str, Any]], params: ReinforcedParams) -> None:
    """Raises `RewardError` if all answers to a prompt had the same reward, whatever the prompt."""
    equal = [entry["frac_reward_zero_std"] for entry in log if "frac_reward_zero_std" in entry]
    if equal and min(equal) == 1:
        raise RewardError(
            f"{params.key}: in every step all answers to a prompt had the same reward, so there was"
            f" nothing to learn; raise {params.key}.num_generations or temperature, or take rewards"
            " that tell answers apart"
        )


def _stops(tokenizer: Any, end: int | None) -> list[int]:
    """The tokens that end an answer: the template's end of turn, and the tokenizer's own end."""
    found = [token for token in (end, tokenizer.eos_token_id) if token is not None]
    return list(dict.fromkeys(found))


def _refer_to(copy: Any, trainer: Any) -> None:
    """Hold the model to a copy of what it was, where taking its adapter off does not give that."""
    from trl.trainer.utils import add_fused_lm_head

    if copy is not None:
        add_fused_lm_head(copy, temperature=trainer.temperature)
        trainer.ref_model = trainer.accelerator.prepare_model(copy, evaluation_mode=True)
