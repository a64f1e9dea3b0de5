//! The tasks that ship with the project, embedded so that the binary needs no files beside it.

/// Name and text; those that need no files come first.
pub(super) static TASKS: &[(&str, &str)] = &[
    ("digits-cnn", include_str!("../../tasks/digits-cnn.toml")),
    ("wdbc-logistic", include_str!("../../tasks/wdbc-logistic.toml")),
    ("synthfaces-attributes", include_str!("../../tasks/synthfaces-attributes.toml")),
    ("synthfaces-identity", include_str!("../../tasks/synthfaces-identity.toml")),
    ("mnist-cnn", include_str!("../../tasks/mnist-cnn.toml")),
    ("cifar10-resnet18", include_str!("../../tasks/cifar10-resnet18.toml")),
    ("chestmnist-efficientnet-b2", include_str!("../../tasks/chestmnist-efficientnet-b2.toml")),
    ("celeba-male", include_str!("../../tasks/celeba-male.toml")),
    ("celeba-mobilefacenet", include_str!("../../tasks/celeba-mobilefacenet.toml")),
    ("casia-mobilefacenet", include_str!("../../tasks/casia-mobilefacenet.toml")),
];
