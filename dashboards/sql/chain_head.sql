-- The head of the hash chain as of the night.
SELECT night, links, change_seq, lower(hex(link)) AS link
FROM core.chain_head
WHERE night <= $night
ORDER BY night DESC, links DESC
LIMIT 1
