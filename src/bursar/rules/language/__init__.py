"""The language of rules: vocabulary, predicates, rule sets, their TOML and rendered forms, and logical writes."""
