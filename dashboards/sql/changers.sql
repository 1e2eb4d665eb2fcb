-- People who change their mind strikingly often; keys, no addresses.
SELECT contact_key::VARCHAR AS contact_key, changes, first_at, last_at
FROM audit.frequent_changer
ORDER BY changes DESC, last_at DESC, contact_key
