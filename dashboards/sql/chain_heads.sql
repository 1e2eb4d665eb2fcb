-- The heads of the last nights.
SELECT night, links, change_seq, lower(hex(link)) AS link
FROM core.chain_head
WHERE night <= $night
ORDER BY night DESC, links DESC
