"""Pages: what people see at ``/`` and ``/docs``, drawn from the schemas. Everything that a model or a request named is escaped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from importlib.resources import files
from string import Template

import orjson

from modelport.engine.engine import Engine
from modelport.engine.models import Models
from modelport.http.example import Json, curl, example_columns, example_value
from modelport.http.heads import Answer
from modelport.http.meta import HTML, JSON, PAGE_FIELDS
from modelport.http.openapi import document
from modelport.http.routes import Route
from modelport.schema import Field

_MANY = 12  # columns from which on the form is drawn in narrow cells
_SHOWN_CATEGORIES = 8
_TASKS = {"outlier_detector": "outlier detector", "frame": "model with hooks", "network": "network"}


class Pages:
    """The rendered pages, made again only when a model changed."""

    def __init__(self, models: Models, routes: Callable[[], Sequence[Route]]) -> None:
        self._models = models
        self._routes = routes
        self._made: dict[str, tuple[object, Answer]] = {}
        folder = files("modelport.http").joinpath("page")
        self._shell = Template(folder.joinpath("shell.html").read_text(encoding="utf-8"))

    def home(self, host: str) -> Answer:
        """Return the page that shows the models and tries them."""
        return self._cached(f"home {host}", lambda: self._home(host))

    def docs(self) -> Answer:
        """Return the page that shows /openapi.json."""
        body = '<div id="docs" class="docs"><p class="muted">Reading openapi.json …</p></div>'
        return self._cached("docs", lambda: self._page("API reference", body, "docs"))

    def openapi(self) -> Answer:
        """Return the OpenAPI description."""
        return self._cached("openapi", lambda: Answer(200, JSON, orjson.dumps(document(self._models.all(), self._routes()))))

    def _cached(self, key: str, make: Callable[[], Answer]) -> Answer:
        state = tuple((e.name, e.version, e.form, e.is_ready, id(e.schema)) for e in self._models.all())
        known = self._made.get(key)
        if known is None or known[0] != state:
            if len(self._made) > 16:  # the Host header is a client's: do not keep a page for each
                self._made.clear()
            known = self._made[key] = (state, make())
        return known[1]

    def _home(self, host: str) -> Answer:
        engines = self._models.all()
        body = "\n".join(_model(engine, host, self._shortest(engine)) for engine in engines)
        return self._page(" · ".join(dict.fromkeys(engine.name for engine in engines)) or "no model", body, "home")

    def _shortest(self, engine: Engine) -> str:
        paths = [route.path for route in self._routes() if route.engine is engine and route.kind == "predict"]
        return engine.route if engine.route in paths else min(paths, key=len)

    def _page(self, title: str, body: str, script: str) -> Answer:
        html = self._shell.substitute(title=escape(title), body=body, script=script)
        return Answer(200, HTML, html.encode("utf-8", "replace"), PAGE_FIELDS)


def _model(engine: Engine, host: str, path: str) -> str:
    schema = engine.schema
    state = "ready" if engine.is_ready else "not ready"
    badges = [f"version {engine.version}", _TASKS.get(schema.task, schema.task)] + ([f"form {engine.form}"] if engine.form else [])
    data = orjson.dumps(example_columns(schema)).decode()
    return f"""
<article class="model" data-path="{escape(path.lstrip("/"))}" data-example="{escape(data)}">
  <header class="model-head">
    <h1>{escape(engine.name)}</h1>
    <p class="badges"><span class="badge {"good" if engine.is_ready else "bad"}">{state}</span>
    {"".join(f'<span class="badge">{escape(text)}</span>' for text in badges)}</p>
    <p class="endpoint"><span class="verb">POST</span><code>{escape(path)}</code></p>
    {f'<p class="muted">{escape(schema.description)}</p>' if schema.description else ""}
  </header>
  <div class="split">
    <section class="card try" aria-label="Try it">
      <h2>Try it</h2>
      <form class="try-form" autocomplete="off">
        <div class="fields{" many" if len(schema.inputs) > _MANY else ""}">
          {"".join(_input(item, engine.name) for item in schema.inputs)}
        </div>
        <p class="actions"><button type="submit" class="primary">Predict</button><button type="reset" class="quiet">Reset</button></p>
      </form>
      <div class="result" role="status" aria-live="polite" hidden></div>
    </section>
    <section class="card" aria-label="From the command line">
      <h2>From anywhere</h2>
      <div class="code">
        <pre><code class="curl">{escape(curl(schema, f"http://{host}{path}"))}</code></pre>
        <button type="button" class="copy">Copy</button>
      </div>
      <h2>Columns <span class="count">{len(schema.inputs)}</span></h2>
      <div class="scroll"><table><thead><tr><th>name</th><th>type</th><th>notes</th></tr></thead>
      <tbody>{"".join(_row(item) for item in schema.inputs)}</tbody></table></div>
      <h2>Answers</h2>
      <p class="answers">{_answers(engine)}</p>
    </section>
  </div>
</article>"""


def _input(item: Field, model: str) -> str:
    name, value = escape(item.name), example_value(item)
    label_id = escape(f"in-{model}-{item.name}")
    facts = f'id="{label_id}" data-column="{name}" data-type="{escape(item.type)}" data-nullable="{str(item.nullable).lower()}"'
    note = "optional key" if item.role == "key" else _type(item)
    label = f'<label for="{label_id}">{name}<small>{escape(note)}</small></label>'
    return f'<div class="field{" wide" if _is_wide(item) else ""}">{label}{_control(item, facts, value)}</div>'


def _control(item: Field, facts: str, value: Json) -> str:
    if item.shape:
        return f'<textarea {facts} data-shape="tensor" rows="2" spellcheck="false">{escape(_json(value))}</textarea>'
    if item.closed and item.categories:
        known = [category for category in item.categories if category is not None]
        options = "".join(f'<option value="{escape(_json(one))}">{escape(str(one))}</option>' for one in known)
        return f'<select {facts} data-shape="choice">{options}</select>'
    if item.type == "bool":
        return f'<select {facts} data-shape="choice"><option value="false">false</option><option value="true">true</option></select>'
    if item.type == "string" and _is_wide(item):
        limit = f' maxlength="{item.max_length}"' if item.max_length else ""
        return f'<textarea {facts} rows="3"{limit}>{escape(str(value))}</textarea>'
    if item.type == "string":
        return f'<input {facts} type="text" value="{escape(str(value))}"{_suggested(item, facts)}'
    mode = "numeric" if "int" in item.type else "decimal"
    return f'<input {facts} type="text" inputmode="{mode}" value="{escape(_json(value))}">'


def _suggested(item: Field, facts: str) -> str:
    """Return the end of an input's tag, with its known values as suggestions that bind nobody."""
    if not item.categories:
        return ">"
    list_id = facts.partition('"')[2].partition('"')[0] + "-known"
    options = "".join(f'<option value="{escape(str(one))}"></option>' for one in item.categories[:200])
    return f' list="{list_id}"><datalist id="{list_id}">{options}</datalist>'


def _is_wide(item: Field) -> bool:
    return bool(item.shape) or (item.type == "string" and not item.categories and item.role != "key")


def _row(item: Field) -> str:
    notes = [item.description] if item.description else []
    if item.role == "key":
        notes.append("key: returned beside the prediction, optional")
    if item.nullable:
        notes.append("may be null")
    if item.max_length is not None:
        notes.append(f"at most {item.max_length:,} characters")
    if item.categories:
        shown = ", ".join(str(one) for one in item.categories[:_SHOWN_CATEGORIES])
        rest = len(item.categories) - _SHOWN_CATEGORIES
        notes.append(f"{'one of' if item.closed else 'such as'} {shown}{f' and {rest} more' if rest > 0 else ''}")
    return f"<tr><td><code>{escape(item.name)}</code></td><td>{escape(_type(item))}</td><td>{escape('; '.join(notes))}</td></tr>"


def _answers(engine: Engine) -> str:
    schema = engine.schema
    if schema.classes:
        shown = ", ".join(str(one) for one in schema.classes[:_SHOWN_CATEGORIES])
        rest = len(schema.classes) - _SHOWN_CATEGORIES
        return f"<code>label</code>, one of {escape(shown)}{f' and {rest} more' if rest > 0 else ''}, and its <code>probabilities</code>"
    names = ", ".join(f"<code>{escape(item.name)}</code> <small>{escape(_type(item))}</small>" for item in schema.outputs)
    return names or "one record a row"


def _type(item: Field) -> str:
    shape = "".join(f"[{'n' if length is None else length}]" for length in item.shape)
    return item.type + shape


def _json(value: Json) -> str:
    return orjson.dumps(value).decode()
