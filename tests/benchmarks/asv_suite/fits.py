"""The scripts' fits and predictions in the shape that airspeed velocity runs."""

from _measure import compile_kernels, fitted, slope_left
from default_fits import maximum
from em_iteration import make
from small_fits import search
from suite import problems
from wide import em

from classic_moe import MixtureOfExpertsRegressor


class DefaultFit:
    params, param_names = [1_000, 10_000, 100_000], ["rows"]

    def setup(self, rows):
        self.X, self.y = make(rows)
        compile_kernels(self.X, self.y, 4)

    def fit(self):
        return fitted(MixtureOfExpertsRegressor(4, random_state=0), self.X, self.y)

    def time_fit(self, rows):
        self.fit()

    def track_nats_below_the_maximum(self, rows):
        model = self.fit()
        return maximum(model, self.X, self.y).lower_bounds_[-1] - model.lower_bounds_[-1]

    def track_slope_left(self, rows):
        return slope_left(self.fit(), self.X, self.y)


class Problem:
    params, param_names = list(problems()), ["problem"]

    def setup(self, name):
        self.X, self.y, self.K = problems()[name]
        compile_kernels(self.X, self.y, self.K)

    def fit(self):
        return fitted(MixtureOfExpertsRegressor(self.K, random_state=0), self.X, self.y)

    def time_fit(self, name):
        self.fit()

    def track_objective(self, name):
        return self.fit().lower_bounds_[-1]


class SmallSearch:
    def setup(self):
        self.X, self.y = make(400, 3, 3)
        self.time_grid_search()

    def time_grid_search(self):
        search(self.X, self.y, [1, 2, 3, 4, 5], 5)


class EightIterations:
    params, param_names = [10, 46, 47, 120], ["columns"]

    def setup(self, columns):
        X, y = make(20_000, columns, 4)
        compile_kernels(X, y, 4)
        self.run = em(X, y, 4)

    def time_em(self, columns):
        self.run(8)


class Fitted:
    def setup(self):
        self.X, self.y = make(100_000)
        rows = slice(2_000)
        self.model = MixtureOfExpertsRegressor(4, random_state=0)
        self.model.partial_fit(self.X[rows], self.y[rows])
        for each in (self.time_predict, self.time_log_prob, self.time_partial_fit):
            each()  # compiles

    def time_predict(self):
        self.model.predict(self.X)

    def time_log_prob(self):
        self.model.log_prob(self.X, self.y)

    def time_partial_fit(self):
        self.model.partial_fit(self.X[:10_000], self.y[:10_000])
