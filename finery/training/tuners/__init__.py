"""A module a tuner: which weights are trained. Each has one of

- `peft_config(params)`: PEFT's configuration, where an adapter is trained;
- `open_weights(params, model)`: lets some of the model's own weights be trained, in place;

and may have `attach(params, trainer)`, for what it needs of the Trainer.
"""
