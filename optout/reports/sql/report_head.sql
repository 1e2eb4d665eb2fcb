-- The head of the chain of recorded changes.
SELECT night, links, lower(hex(link)) AS link
FROM core.chain_head
ORDER BY links DESC
LIMIT 1
