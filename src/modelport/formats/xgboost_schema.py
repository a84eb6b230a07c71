"""What an XGBoost file takes and answers, told by its objective as XGBoost's own scikit-learn classes have it."""

from __future__ import annotations

from dataclasses import replace

from modelport.formats.boosted import inputs_of, label_field
from modelport.formats.xgboost_file import Content
from modelport.schema import Field, Schema

_CODED = "a category, by the number it had when the model was fitted"


def schema_of(content: Content) -> Schema:
    """Return the schema of a model."""
    names = content.names or tuple(f"x{at}" for at in range(content.features))
    inputs = inputs_of(names, content.categories, closed=True)
    if content.types:
        inputs = tuple(
            replace(item, description=_CODED) if kind == "c" and not item.categories else item
            for item, kind in zip(inputs, content.types, strict=True)
        )
    is_named = bool(content.names)
    objective, targets = content.objective, content.targets
    if not objective.startswith(("binary:", "multi:")):
        shape = (content.groups,) if content.groups > 1 else ()
        return Schema(inputs, (Field("prediction", "float32", shape),), "regressor", is_named=is_named)
    if targets > 1:
        columns = (Field("label", "int64", (targets,)), Field("probabilities", "float32", (targets,)))
        return Schema(inputs, columns if objective == "binary:logistic" else columns[:1], "classifier", is_named=is_named)
    classes = content.classes
    outputs: tuple[Field, ...] = (label_field(classes),)
    if objective == "binary:logitraw":
        said = "the raw score of class 1; the label is 1 where it is over 0.5, as XGBClassifier has it"
        outputs += (Field("scores", "float32", (1,), description=said),)
    elif objective != "binary:hinge":
        outputs += (Field("probabilities", "float32", (len(classes),)),)
    return Schema(inputs, outputs, "classifier", classes, is_named=is_named)
