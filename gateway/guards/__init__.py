"""Pure guards: find names in any spelling, forbid phrases while decoding, audit what was said."""
