-- How many zones each country keeps.
SELECT c.code, c.country, count(z.zone) AS zones, min(z.latitude) AS southernmost, max(z.latitude) AS northernmost
FROM raw.countries AS c
LEFT JOIN staging.stg_zones AS z USING (code)
GROUP BY ALL
ORDER BY zones DESC, country
