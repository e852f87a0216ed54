"""Operations on tables: definitions, updates, tags, time to live, resource policies, unavailable features."""
