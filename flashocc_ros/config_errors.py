# Copyright 2026 flashocc_ros developers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""What is wrong with a setting of a file, in one sentence of ours."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from flashocc_ros.errors import did_you_mean

# By the kind of the error; ``{limit}`` is what the setting is compared with.
_SENTENCES = {
    "greater_than": "must be above {limit}",
    "greater_than_equal": "must be at least {limit}",
    "less_than": "must be below {limit}",
    "less_than_equal": "must be at most {limit}",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of usual size",
    "int_from_float": "must be a whole number",
    "string_type": "must be text",
    "path_type": "must be a path",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "model_type": "must be a section of settings",
    "model_attributes_type": "must be a section of settings",
    "dict_type": "must be a section of settings",
    "list_type": "must be a list",
    "too_short": "must not be empty",
    "literal_error": "must be one of {limit}",
    "union_tag_invalid": "must have a kind of {limit}",
    "union_tag_not_found": "needs a kind",
    "missing": "is missing; add it",
    "extra_forbidden": "is no setting; remove it or check how it is spelled",
}
_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother = 3, 81, 81
_LIMITS = ("gt", "ge", "lt", "le", "expected", "expected_tags")


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first thing that is wrong with settings of ``model``: which, value, limit; and how many more there are."""
    first: Mapping[str, Any] = error.errors()[0]
    # Behind the setting pydantic names the branches of its type, such as ``lax-or-strict[...]``.
    named = [str(part) for part in first["loc"] if first["type"] == "extra_forbidden" or "[" not in str(part)]
    where = ".".join(named) or "the configuration"
    context: Mapping[str, Any] = first.get("ctx", {})
    limit = next((context[name] for name in _LIMITS if name in context), "")
    template = _SENTENCES.get(first["type"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if "error" in context:  # a refusal of our own says everything itself
        return f"{where}{':' if named else ''} {str(context['error']).rstrip('.')}{more}"
    problem = template.format(limit=limit) if template else str(first["msg"])
    given = "" if first["type"] == "missing" else f", got {_short(first.get('input'))}"
    near = (
        did_you_mean(str(first["loc"][-1]), _beside(model, first["loc"])) if first["type"] == "extra_forbidden" else ""
    )
    return f"{where} {problem}{given}{more}{near}"


def _beside(model: type[BaseModel], place: Sequence[int | str]) -> set[str]:
    """Names of the settings beside the one at ``place``."""
    models = [model]
    for part in place[:-1]:
        fields = [found.model_fields[part].annotation for found in models if part in found.model_fields]
        # the kind of a section that may be of several is a part of the place, too
        models = [m for annotation in fields for m in _sections(annotation)] or models
    return {name for found in models for name in found.model_fields}


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _sections(part)]


def _short(value: Any) -> str:
    text = _REPR.repr(value)  # aliases of YAML may make a value of gigabytes out of a few lines
    return text if len(text) <= 80 else f"{text[:80]}..."
