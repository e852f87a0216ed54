"""Build trees of conditions and updates that are not expressions: legacy parameters and PartiQL statements.

    builder = TreeBuilder()
    root = Comparison("=", builder.path("price"), builder.value({"N": "5"}))
    builder.condition(root) -> BoundCondition

The trees are compiled and evaluated like those of expressions. Only their error texts differ: they lack the prefix with
the name of the expression. Attribute names may be any text, so each of them gets a placeholder.
"""

from collections.abc import Sequence

from bursar.dynamo.errors import invalid
from bursar.dynamo.expressions.evaluation.condition import BoundCondition, compile_condition, use_compiled
from bursar.dynamo.expressions.evaluation.placeholders import Binding, ExpressionScope
from bursar.dynamo.expressions.evaluation.update import BoundUpdate, compile_update
from bursar.dynamo.expressions.parsing.syntax_tree import Condition, Path, PathAction, PathPart, UpdateTree, Value
from bursar.dynamo.items.attribute_values import EMPTY_NAME, AttributeValue, Item

NO_EXPRESSION = ""


class TreeBuilder:
    """Builds the leaves of one tree, and binds it. Values must be normalised already."""

    __slots__ = ("_names", "_values")

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: Item = {}

    def path(self, *parts: PathPart) -> Path:
        """Return a document path of plain names and list indexes."""
        return Path(tuple(part if isinstance(part, int) else self._name(part) for part in parts))

    def value(self, value: AttributeValue) -> Value:
        """Return the node of a value."""
        name = f":{len(self._values)}"
        self._values[name] = value
        return Value(name)

    def condition(self, root: Condition) -> BoundCondition:
        """Return the bound condition. Raise ValidationException for operands of wrong types."""
        binding, scope = self._bound()
        compiled = compile_condition(root, 0, scope)
        use_compiled(compiled, binding)
        return BoundCondition(compiled, self._values)

    def update(self, actions: Sequence[PathAction]) -> BoundUpdate:
        """Return the bound update. Raise ValidationException for paths that clash and operands of wrong types."""
        binding, scope = self._bound()
        compiled = compile_update(UpdateTree(tuple(actions), None, False, 0), scope)
        binding.use(compiled.names, compiled.values, compiled.late_checks)
        return BoundUpdate(compiled, self._values)

    def _name(self, name: str) -> str:
        if not name:
            raise invalid(EMPTY_NAME)
        placeholder = self._names.get(name)
        if placeholder is None:
            placeholder = self._names[name] = f"#{len(self._names)}"
        return placeholder

    def _bound(self) -> tuple[Binding, ExpressionScope]:
        binding = Binding(None, self._values or None)
        names = tuple((placeholder, name) for name, placeholder in self._names.items())
        return binding, ExpressionScope(NO_EXPRESSION, names, binding.types)
