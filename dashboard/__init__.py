"""The dashboard: reads studies and spaces, trains nothing."""
