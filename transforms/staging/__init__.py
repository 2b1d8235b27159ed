"""Raw to staged rows: reading, decoding, validating and flattening payloads; what does not fit is quarantined."""
