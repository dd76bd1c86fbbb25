package main

import (
	"context"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Images: each exists as soon as someone names it.

type imageService struct{}

func (imageService) ListImages(context.Context, *cri.ImageFilter) ([]*cri.Image, error) {
	return nil, nil
}

func (imageService) ImageStatus(_ context.Context, image *cri.ImageSpec, _ bool) (*cri.ImageStatusResponse, error) {
	return &cri.ImageStatusResponse{Image: &cri.Image{Id: image.Image, RepoTags: []string{image.Image}, Size: 1, Spec: image}}, nil
}

func (imageService) PullImage(_ context.Context, image *cri.ImageSpec, _ *cri.AuthConfig, _ *cri.PodSandboxConfig) (string, error) {
	return image.Image, nil
}

func (imageService) RemoveImage(context.Context, *cri.ImageSpec) error { return nil }

func (imageService) ImageFsInfo(context.Context) (*cri.ImageFsInfoResponse, error) {
	return &cri.ImageFsInfoResponse{}, nil
}

func (imageService) Close() error { return nil }
