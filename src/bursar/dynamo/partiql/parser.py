"""Parse statements by recursive descent."""

from functools import lru_cache

from bursar.dynamo.errors import DynamoError, invalid
from bursar.dynamo.partiql.expression_parser import ExpressionParser
from bursar.dynamo.partiql.lexer import END, KEYWORD, QUOTED, WORD, malformed
from bursar.dynamo.partiql.syntax_tree import (
    Assignment,
    DeleteStatement,
    ExistsStatement,
    InsertStatement,
    Order,
    PartiqlStatement,
    Reference,
    SelectStatement,
    StructExpression,
    UpdateStatement,
)

STATEMENTS_CACHED = 1024
NO_ALIASES = "Aliasing is not supported"
LEFT_OVER = "Unexpected token after expression"
_UNSUPPORTED = {"group": "GROUP BY", "having": "HAVING", "limit": "LIMIT", "offset": "OFFSET"}


@lru_cache(STATEMENTS_CACHED)
def parse_statement(text: str) -> PartiqlStatement:
    """Return the parsed statement. Raise ValidationException for invalid syntax and unsupported clauses."""
    return _StatementParser(text).statement()


class _StatementParser(ExpressionParser):
    # --- statements ---

    def statement(self) -> PartiqlStatement:
        start = self.token.text if self.token.kind == KEYWORD else ""
        statement: PartiqlStatement
        if start == "select":
            statement = self.select()
        elif start == "insert":
            statement = self.insert()
        elif start == "update":
            statement = self.update()
        elif start == "from":
            statement = self.update_from()
        elif start == "delete":
            statement = self.delete()
        elif start == "exists":
            statement = self.exists()
        elif start in ("create", "drop"):
            raise self.definition(start)
        else:
            raise malformed("Expected data manipulation")
        self.sign_taken(";")
        if self.token.kind != END:
            raise malformed(LEFT_OVER)
        return statement

    def definition(self, verb: str) -> DynamoError:
        self.advance()
        if self.token.text not in ("table", "index"):
            return malformed("Expected data manipulation")
        return invalid(f"Unsupported operation: {verb.capitalize()}{self.token.text.capitalize()}")

    def select(self) -> SelectStatement:
        self.expect_word("select")
        refusal = None
        if self.is_aggregate():
            refusal = f"Unexpected path component {self.token.place}"
            while self.token.kind != END and not self.is_word("from"):
                self.advance()
            if self.token.kind == END:
                raise invalid(refusal)
        projection = () if refusal else self.projection()
        self.expect_word("from")
        table, index = self.source()
        if refusal and index is None:
            raise invalid(refusal)
        where = self.expression() if self.word_taken("where") else None
        if self.token.kind == KEYWORD and self.token.text in ("group", "having"):
            raise self.unsupported_clause()
        order = self.order() if self.word_taken("order") else ()
        if self.token.kind == KEYWORD and self.token.text in _UNSUPPORTED:
            raise self.unsupported_clause()
        return SelectStatement(table, index, projection, where, order, self.parameters, refusal)

    def unsupported_clause(self) -> DynamoError:
        clause = _UNSUPPORTED[self.token.text]
        self.advance()
        return invalid(f"Unsupported clause: {clause}" + ("" if clause == "GROUP BY" else f" {self.token.place}"))

    def projection(self) -> tuple[Reference, ...] | None:
        if self.sign_taken("*"):
            return None
        if self.is_word("value") or self.is_word("pivot"):
            raise invalid("Select projection doesn't support value or pivot keywords")
        if self.is_word("distinct"):
            raise invalid("Unsupported token in expression: DISTINCT")
        chosen: list[Reference] = []
        names: set[str] = set()
        while True:
            token = self.token
            if self.is_aggregate():
                raise invalid(f"Unexpected path component {token.place}")
            one = self.expression()
            if self.sign_taken("."):
                raise invalid("Changing item's hierarchy while reading isn't supported")
            if not isinstance(one, Reference):
                raise invalid(f"Unexpected path component {token.place}")
            if self.is_alias():
                raise invalid(NO_ALIASES)
            name = output_name(one)
            if name in names:
                raise invalid(f"Duplicate identifiers in select clause: {name}")
            names.add(name)
            chosen.append(one)
            if not self.sign_taken(","):
                return tuple(chosen)

    def source(self) -> tuple[str, str | None]:
        if self.token.kind not in (WORD, QUOTED):
            if self.token.kind == KEYWORD or self.token.kind == END:
                raise self.unexpected()
            raise invalid("Unexpected from source")
        names = [self.part_name(self.token)]
        while self.sign_taken("."):
            names.append(self.part_name(self.token))
        if len(names) > 2:
            raise invalid("A path may contain at most 2 components in the FROM clause")
        if self.is_sign(","):
            raise invalid("Only select from a single table or index is supported.")
        if self.is_alias():
            raise invalid(NO_ALIASES)
        return names[0], names[1] if len(names) == 2 else None

    def order(self) -> tuple[Order, ...]:
        self.expect_word("by")
        parts: list[Order] = []
        while True:
            descending = False
            name = self.name()
            if self.word_taken("desc"):
                descending = True
            else:
                self.word_taken("asc")
            parts.append(Order(name, descending))
            if not self.sign_taken(","):
                return tuple(parts)

    def insert(self) -> InsertStatement:
        self.expect_word("insert")
        self.expect_word("into")
        table = self.name()
        if self.is_sign("."):
            raise invalid("FROM clause may only contain a single table name in data manipulation statements")
        if self.is_word("values") or self.is_sign("<<"):
            raise invalid("Unsupported operation: InsertOp")
        if self.token.kind in (WORD, QUOTED):
            raise malformed(LEFT_OVER)
        self.expect_word("value")
        place = self.token.place
        item = self.expression()
        if not isinstance(item, StructExpression):
            raise invalid(
                "Unsupported format in item expression. "
                f"Please use struct format {{...}} to express item values for insert statement. {place}"
            )
        if self.is_word("returning"):
            raise invalid("RETURNING is not supported in INSERT")
        return InsertStatement(table, item, self.parameters)

    def update(self) -> UpdateStatement:
        self.expect_word("update")
        table = self.written_table()
        assignments = self.assignments()
        where = self.expression() if self.word_taken("where") else None
        return UpdateStatement(table, assignments, where, self.returning(), self.parameters)

    def update_from(self) -> UpdateStatement:
        """Return ``FROM table WHERE … SET …``, PartiQL's other order of an UPDATE's clauses."""
        self.expect_word("from")
        table = self.written_table()
        where = self.expression() if self.word_taken("where") else None
        return UpdateStatement(table, self.assignments(), where, self.returning(), self.parameters)

    def assignments(self) -> tuple[Assignment, ...]:
        assignments: list[Assignment] = []
        while self.is_word("set") or self.is_word("remove"):
            if self.word_taken("remove"):
                assignments.append(Assignment(self.reference(), None))
                continue
            self.advance()
            assignments.append(self.assignment())
            while self.sign_taken(","):
                assignments.append(self.assignment())
        if not assignments:
            raise self.unexpected()
        return tuple(assignments)

    def assignment(self) -> Assignment:
        path = self.reference()
        self.expect_sign("=")
        return Assignment(path, self.expression())

    def delete(self) -> DeleteStatement:
        self.expect_word("delete")
        self.expect_word("from")
        table = self.written_table()
        where = self.expression() if self.word_taken("where") else None
        returning = self.returning()
        if returning is not None and returning != ("all", "old"):
            said = " ".join(returning).upper()
            raise invalid(
                f"Invalid returning clause: RETURNING {said} *. "
                "Only RETURNING ALL OLD * is allowed in DELETE statements."
            )
        return DeleteStatement(table, where, returning is not None, self.parameters)

    def written_table(self) -> str:
        table = self.name()
        if self.is_sign("."):
            raise invalid("This operation is not supported on an index")
        if self.is_alias():
            raise invalid(NO_ALIASES)
        return table

    def returning(self) -> tuple[str, str] | None:
        if not self.word_taken("returning"):
            return None
        extent, moment = self.one_of("all", "modified"), self.one_of("old", "new")
        if not self.sign_taken("*"):
            raise invalid("Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause")
        if self.is_sign(","):
            raise invalid("Invalid syntax with multiple returning elements in RETURNING clause")
        return extent, moment

    def exists(self) -> ExistsStatement:
        self.expect_word("exists")
        self.expect_sign("(")
        select = self.select()
        self.expect_sign(")")
        return ExistsStatement(select)


def output_name(path: Reference) -> str:
    """Return the name of a chosen path in the response: its last name, with the indexes after it."""
    name = ""
    for part in path.parts:
        name = f"{name}[{part}]" if isinstance(part, int) else part
    return name
