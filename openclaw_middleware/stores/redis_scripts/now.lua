-- KEYS any key of this store. Answers the server's clock.

return now_text
