//! The twelve two-dimensional sets of MedMNIST v2.

use crate::LabelKind;

/// What the set's authors state about it.
pub(crate) struct Set {
    pub name: &'static str,
    pub title: &'static str,
    pub summary: &'static str,
    pub channels: usize,
    pub labels: LabelKind,
    /// Whether the classes are ranks.
    pub ordinal: bool,
    pub licence: &'static str,
    pub classes: &'static [&'static str],
}

const BY: &str = "CC BY 4.0";
const BY_NC: &str = "CC BY-NC 4.0";
const ORGANS: &[&str] = &[
    "bladder",
    "femur-left",
    "femur-right",
    "heart",
    "kidney-left",
    "kidney-right",
    "liver",
    "lung-left",
    "lung-right",
    "pancreas",
    "spleen",
];

const fn set(
    name: &'static str,
    title: &'static str,
    summary: &'static str,
    channels: usize,
    classes: &'static [&'static str],
) -> Set {
    Set {
        name,
        title,
        summary,
        channels,
        labels: LabelKind::MultiClass,
        ordinal: false,
        licence: BY,
        classes,
    }
}

/// All of them.
pub(crate) const SETS: [Set; 12] = [
    set(
        "pathmnist",
        "PathMNIST",
        "colon pathology, 28x28 colour, 9 classes",
        3,
        &[
            "adipose",
            "background",
            "debris",
            "lymphocytes",
            "mucus",
            "smooth muscle",
            "normal colon mucosa",
            "cancer-associated stroma",
            "colorectal adenocarcinoma epithelium",
        ],
    ),
    Set {
        labels: LabelKind::MultiLabel,
        ..set(
            "chestmnist",
            "ChestMNIST",
            "chest X-rays, 28x28 grey, 14 labels of which any number hold",
            1,
            &[
                "atelectasis",
                "cardiomegaly",
                "effusion",
                "infiltration",
                "mass",
                "nodule",
                "pneumonia",
                "pneumothorax",
                "consolidation",
                "edema",
                "emphysema",
                "fibrosis",
                "pleural thickening",
                "hernia",
            ],
        )
    },
    Set {
        licence: BY_NC,
        ..set(
            "dermamnist",
            "DermaMNIST",
            "skin lesions, 28x28 colour, 7 classes",
            3,
            &[
                "actinic keratoses",
                "basal cell carcinoma",
                "benign keratosis-like lesions",
                "dermatofibroma",
                "melanoma",
                "melanocytic nevi",
                "vascular lesions",
            ],
        )
    },
    set(
        "octmnist",
        "OCTMNIST",
        "retinal tomography, 28x28 grey, 4 classes",
        1,
        &["choroidal neovascularization", "diabetic macular edema", "drusen", "normal"],
    ),
    set(
        "pneumoniamnist",
        "PneumoniaMNIST",
        "chest X-rays, 28x28 grey, normal or pneumonia",
        1,
        &["normal", "pneumonia"],
    ),
    Set {
        ordinal: true,
        ..set(
            "retinamnist",
            "RetinaMNIST",
            "eye fundi, 28x28 colour, 5 grades of diabetic retinopathy",
            3,
            &["grade 0", "grade 1", "grade 2", "grade 3", "grade 4"],
        )
    },
    set(
        "breastmnist",
        "BreastMNIST",
        "breast ultrasound, 28x28 grey, malignant or not",
        1,
        &["malignant", "normal or benign"],
    ),
    set(
        "bloodmnist",
        "BloodMNIST",
        "blood cells, 28x28 colour, 8 classes",
        3,
        &[
            "basophil",
            "eosinophil",
            "erythroblast",
            "immature granulocyte",
            "lymphocyte",
            "monocyte",
            "neutrophil",
            "platelet",
        ],
    ),
    set(
        "tissuemnist",
        "TissueMNIST",
        "kidney cortex cells, 28x28 grey, 8 classes",
        1,
        &[
            "collecting duct or connecting tubule",
            "distal convoluted tubule",
            "glomerular endothelial cell",
            "interstitial endothelial cell",
            "leukocyte",
            "podocyte",
            "proximal tubule segment",
            "thick ascending limb",
        ],
    ),
    set("organamnist", "OrganAMNIST", "abdominal CT (axial), 28x28 grey, 11 organs", 1, ORGANS),
    set("organcmnist", "OrganCMNIST", "abdominal CT (coronal), 28x28 grey, 11 organs", 1, ORGANS),
    set("organsmnist", "OrganSMNIST", "abdominal CT (sagittal), 28x28 grey, 11 organs", 1, ORGANS),
];
