"""The OpenAPI description is valid and says what the server does."""

from __future__ import annotations

import pytest

from modelport.engine.executor import Identity
from modelport.http.openapi import cell_schema, document, request_schema
from modelport.schema import Field, Schema

openapi_spec_validator = pytest.importorskip("openapi_spec_validator")
jsonschema = pytest.importorskip("jsonschema")

SCHEMAS = {
    "numbers": Schema(tuple(Field(f"x{n}", "float64") for n in range(30)), (Field("prediction", "float32"),), "regressor"),
    "text": Schema((Field("text", "string", max_length=100),), (), "classifier", ("good", "bad")),
    "mixed": Schema(
        (
            Field("id", "string", role="key"),
            Field("age", "int8", nullable=False),
            Field("fare", "float32", nullable=True),
            Field("town", "string", categories=("Cork", "Oslo"), closed=True),
            Field("<script>", "bool"),
        ),
        (Field("label", "int64"),),
        "classifier",
        (0, 1),
    ),
    "tensor": Schema((Field("image", "float32", (2, 3)),), (Field("a", "float32", (4,)), Field("b", "float32")), "network"),
    "open": Schema((Field("series", "float32", (None,)),), (Field("prediction", "float32"),), "network"),
    "cluster": Schema((Field("a", "float64"), Field("b", "float64")), (Field("cluster", "int64"),), "clusterer"),
}


def _document(kit, schema: Schema):
    async def main():
        front = await kit.front(None, Identity("a model".replace(" ", "-"), "1", "/own"), Identity("other", "2"), schema=schema).start()
        return front.connect().send(kit.get("/openapi.json")).responses[0].json()

    return kit.run(main())


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_description_is_valid_openapi_3_1(kit, name) -> None:
    described = _document(kit, SCHEMAS[name])
    openapi_spec_validator.OpenAPIV31SpecValidator(described).validate()
    assert {"/own", "/models/a-model/predict", "/models/other/versions/2/predict", "/livez", "/models"} <= set(described["paths"])


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_example_fits_the_request_schema_in_exactly_one_form(kit, name) -> None:
    described = _document(kit, SCHEMAS[name])
    content = described["paths"]["/own"]["post"]["requestBody"]["content"]["application/json"]
    validator = jsonschema.Draft202012Validator(request_schema(SCHEMAS[name]))
    assert set(content["examples"]) == {"columns", "records", "one record", "bare rows"}
    for example in content["examples"].values():
        validator.validate(example["value"])


@pytest.mark.parametrize("name", ["numbers", "text", "mixed", "tensor", "open"])
def test_every_example_is_taken_by_the_decoder(kit, name) -> None:
    import orjson

    from modelport.wire.base import Limits
    from modelport.wire.native import codec

    described = _document(kit, SCHEMAS[name])
    examples = described["paths"]["/own"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    decode = codec(SCHEMAS[name], Limits()).decode
    for example in examples.values():
        assert decode(orjson.dumps(example["value"]), "application/json").columns.rows == 1


@pytest.mark.parametrize(
    "wrong", [{}, {"age": 1}, [], {"id": "x", "age": 1, "fare": 2, "town": "Rome", "<script>": True}, [[1, 2]], "text", 5]
)
def test_what_does_not_fit_is_not_described_as_fitting(wrong) -> None:
    assert not jsonschema.Draft202012Validator(request_schema(SCHEMAS["mixed"])).is_valid(wrong)


def test_a_cell_says_its_bounds() -> None:
    assert cell_schema(Field("n", "uint8")) == {"type": "integer", "minimum": 0, "maximum": 255}
    assert cell_schema(Field("t", "string", nullable=True, max_length=5)) == {"type": ["string", "null"], "maxLength": 5}
    assert cell_schema(Field("v", "float32", (2, None)))["items"] == {"type": "array", "items": {"type": "number"}}


def test_no_server_address_is_written_into_the_description() -> None:
    assert document([], [])["servers"] == [{"url": "."}]
