"""Commands on zones."""
