"""Each module by itself, on a real mongod and on moto; no second process of ours."""
