"""Supervised fine-tuning: only what the prepared labels count is learnt."""

from finery.training.supervised import supervised as build_trainer

__all__ = ["build_trainer"]
