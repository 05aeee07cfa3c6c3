"""Answers to files of questions, by the code of the evaluation."""
