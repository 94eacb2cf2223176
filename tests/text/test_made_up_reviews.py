from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from hf_rnn.text.made_up_reviews import made_up_reviews


def test_reviews_are_many_different_balanced_and_the_same_for_a_seed():
    reviews = made_up_reviews(1000, seed=4)
    assert len(set(reviews["text"])) == 1000
    assert sum(reviews["label"]) == 500
    assert reviews == made_up_reviews(1000, seed=4)
    assert reviews != made_up_reviews(1000, seed=5)


def test_a_bag_of_words_is_not_enough():
    reviews = made_up_reviews(3000)
    bags = CountVectorizer(token_pattern=r"\S+").fit_transform(reviews["text"])
    labels = reviews["label"]
    model = LogisticRegression(max_iter=1000).fit(bags[:2000], labels[:2000])
    assert model.score(bags[2000:], labels[2000:]) < 0.7
