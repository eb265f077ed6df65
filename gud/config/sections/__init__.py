"""The sections that presets are made of, validated before any work starts."""
