"""Continued pretraining: every token of plain texts is learnt."""

from finery.training.supervised import supervised as build_trainer

__all__ = ["build_trainer"]
