"""The language of rules: vocabulary, predicates, rule sets, their TOML form, and the writes they judge."""
