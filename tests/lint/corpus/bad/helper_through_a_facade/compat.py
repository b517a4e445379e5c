import random as chance

throw = chance.randint
