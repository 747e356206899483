-- An administrative act that no other script makes gets its entry in the audit log.
-- ARGV: act
audit(ARGV[1], '', '', '', '', '')
