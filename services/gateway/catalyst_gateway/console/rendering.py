"""Templates: everything is escaped, and a name that no page gave is a fault, not an empty text."""

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from jinja2 import ChainableUndefined, Environment, PackageLoader
from jinja2.utils import missing

from . import words


class Absent(ChainableUndefined):
    """A field that an answer of a daemon lacks: it says nothing. A name that the page did not give fails."""

    def __str__(self) -> str:
        return "" if self._of_an_answer() else self._fails()

    def __iter__(self) -> Iterator[Any]:
        return iter(()) if self._of_an_answer() else self._fails()

    def __bool__(self) -> bool:
        return False if self._of_an_answer() else self._fails()

    def _of_an_answer(self) -> bool:
        return self._undefined_obj is not missing

    def _fails(self) -> NoReturn:
        self._fail_with_undefined_error()


class Renderer:
    """Makes HTML of a template and values.

    shared   what every template may use besides
    """

    def __init__(self, **shared: Any) -> None:
        self._templates = Environment(
            loader=PackageLoader("catalyst_gateway.console"),
            autoescape=True,
            undefined=Absent,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )  # fmt: skip - one call
        self._templates.globals |= shared
        self._templates.filters |= words.FILTERS

    def render(self, template: str, **values: Any) -> str:
        """The text of a template."""
        return self._templates.get_template(template).render(values)

    def names(self) -> Mapping[str, str]:
        """Every template, by the name under which it is rendered, with its source."""
        loader = self._templates.loader
        assert loader is not None
        return {name: loader.get_source(self._templates, name)[0] for name in self._templates.list_templates()}
