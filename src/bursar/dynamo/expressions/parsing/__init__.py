"""Parse the text of an expression into a syntax tree, and check the tree before names and values are known."""
