"""The import of another portal's records: reading rows, planning obligations, writing attempts."""
