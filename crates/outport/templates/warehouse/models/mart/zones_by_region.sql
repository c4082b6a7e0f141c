SELECT region, zone, code, country, latitude, comments
FROM staging.stg_zones
JOIN raw.countries USING (code)
ORDER BY zone, code
