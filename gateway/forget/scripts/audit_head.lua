-- Returns: sequence number and digest of the last entry of the audit log
return {audit_head()}
