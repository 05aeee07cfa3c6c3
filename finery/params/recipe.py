"""The settings that the artefacts are made by: the sections of params.yaml that stages read."""

from finery.params.data import DataParams
from finery.params.evaluate import EvaluateParams
from finery.params.gate import GateParams
from finery.params.merge import MergeParams
from finery.params.model import ModelParams
from finery.params.package import PackageParams
from finery.params.quantize import QuantizeParams
from finery.params.section import Section
from finery.params.train import TrainParams


class Recipe(Section):
    """One section a stage; a package records them all."""

    model: ModelParams
    data: DataParams
    train: TrainParams
    merge: MergeParams
    quantize: QuantizeParams
    evaluate: EvaluateParams
    gate: GateParams
    package: PackageParams
