"""The train stage as DVC starts it, watched.

python ours.py ARGUMENTS_OF_THE_STAGE
"""

import transformers.trainer
from watch import Watch

import stages.train
from finery.stage.run import run

transformers.trainer.DEFAULT_CALLBACKS.append(Watch)
run(stages.train.train)
