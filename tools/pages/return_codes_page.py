"""docs/return-codes.md, generated from the table of codes; a test checks that the file is current.

python -m tools.pages.return_codes_page > docs/return-codes.md
"""

import sys

from bursar.dashboard.text.reason_codes import CodeGroup, code_groups

_HEAD = """\
# Return codes and reason codes

Generated from `dashboard/text/reason_codes.toml` by `python -m tools.generate_docs`; do not edit.

The dashboard shows these meanings beside a code, in English or Spanish; files and the API have the code alone.
A code that is not listed is shown as it is.

Pay.gov's public documents do not say which codes its `return_code` may hold beside those of its faults.
So the meaning of a bank's or a card network's code is that of the bank or the network.
The texts are short summaries; the rules of Nacha and of the networks decide.
"""


def return_codes_page() -> str:
    """Return the page as Markdown: each group of codes with its source."""
    return _HEAD + "".join(_section(group) for group in code_groups().values())


def _section(group: CodeGroup) -> str:
    rows = "".join(f"| {code} | {each['en']} | {each['es']} |\n" for code, each in group.codes.items())
    return f"\n## {group.title}\n\nSource: {group.source}.\n\n| code | English | Spanish |\n|---|---|---|\n{rows}"


if __name__ == "__main__":
    sys.stdout.write(return_codes_page())
